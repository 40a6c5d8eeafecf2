"""Model checkpoints: a directory that holds all it takes to ground.

DIR/checkpoint.json   what the model is: name, configuration, how clips are made; checksums of the parameters
DIR/parameters/       arrays, by Orbax
DIR/tokenizer/        vocab.json, merges.txt and what else the tokenizer needs
DIR/conversion.json   where the parameters came from, when they were converted
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stvg_jax.errors import InputError
from stvg_jax.tree import check_same_parameters, flatten, unflatten

FORMAT = "stvg_jax.checkpoint/1"
_DESCRIPTION = "checkpoint.json"
_PARAMETERS = "parameters"
TOKENIZER = "tokenizer"


@dataclasses.dataclass(frozen=True)
class Description:
    """What `checkpoint.json` says.

    Attributes:
        model: name in `stvg_jax.grounding.registry.MODELS`.
        config: the experiment's configuration, with sections `model` and `clip`.
        kind: "model", or "initialisation" for a part of a model to start training from.
        note: one line for people.
        parameters: path -> {"shape": [...], "crc32": of its bytes}, filled by `write`.
    """

    model: str
    config: Mapping[str, Any]
    kind: str = "model"
    note: str = ""
    parameters: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)


def checksum(array: np.ndarray) -> int:
    """crc32 of an array's bytes in row-major order."""
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data)


@contextlib.contextmanager
def new_directory(directory: Path, *, force: bool = False) -> Iterator[Path]:
    """A directory that appears whole or not at all: yields a temporary one beside it, renamed on success.

    Raises:
        InputError: if it exists and `force` is False, or its parent cannot be written.
    """
    if directory.exists() and not force:
        raise InputError(f"{directory} exists already; choose another folder or pass --force to replace it")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    except OSError as error:
        raise InputError(f"cannot write {directory}: {error.strerror}") from error
    try:
        yield partial
        if directory.exists():
            shutil.rmtree(directory)
        partial.chmod(0o755)
        partial.rename(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write(directory: Path, parameters: Mapping[str, np.ndarray], description: Description) -> None:
    """Writes parameters (path -> array) and their description into an existing empty directory."""
    table = {path: {"shape": list(value.shape), "crc32": checksum(value)} for path, value in parameters.items()}
    with _checkpointer() as checkpointer:
        checkpointer.save((directory / _PARAMETERS).absolute(), _string_keys(unflatten(dict(parameters))))
    record = {"format": FORMAT, **dataclasses.asdict(dataclasses.replace(description, parameters=table))}
    (directory / _DESCRIPTION).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def describe(directory: Path) -> Description:
    """Reads what a checkpoint is.

    Raises:
        InputError: if the directory is missing or is not a checkpoint of this library.
    """
    if not directory.is_dir():
        kind = "is a file" if directory.exists() else "does not exist"
        hint = "; turn a .pth file into a checkpoint directory with `stvg-jax convert`" if directory.is_file() else ""
        raise InputError(f"checkpoint {directory} {kind}; expected a directory with {_DESCRIPTION}{hint}")
    try:
        record = json.loads((directory / _DESCRIPTION).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{directory} is not a checkpoint: it has no {_DESCRIPTION}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{directory / _DESCRIPTION} cannot be read: {error}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        found = record.get("format") if isinstance(record, dict) else type(record).__name__
        raise InputError(f"{directory} has format {found!r}; this version reads {FORMAT!r}")
    try:
        return Description(**{key: value for key, value in record.items() if key != "format"})
    except TypeError as error:
        raise InputError(f"{directory / _DESCRIPTION} is incomplete or has unknown keys: {error}") from error


def check(directory: Path, description: Description, declarations: Mapping[str, Any]) -> None:
    """Raises InputError, listing all differences, unless the checkpoint says that it fits the model.

    Args:
        directory: of the checkpoint, for the message.
        description: of the checkpoint.
        declarations: path -> declared parameter of the model.
    """
    shapes = {path: _Shape(tuple(entry["shape"])) for path, entry in description.parameters.items()}
    check_same_parameters(shapes, dict(declarations), str(directory))


class _Shape(NamedTuple):
    shape: tuple[int, ...]


def read(directory: Path, description: Description) -> dict[str, np.ndarray]:
    """Reads the parameters, path -> array.

    Raises:
        InputError: if they cannot be read, or are not those that the description lists.
    """
    path = (directory / _PARAMETERS).absolute()
    try:
        with _checkpointer() as checkpointer:
            stored = flatten(checkpointer.restore(path))
    except Exception as error:  # Orbax and tensorstore raise many kinds
        raise InputError(f"the parameters in {path} cannot be read: {_first_line(error)}") from error
    check(directory, description, stored)
    return stored


def verify(directory: Path, progress: Callable[[str], None] | None = None) -> int:
    """Compares every stored parameter with its checksum.

    Returns:
        The number of parameters.

    Raises:
        InputError: naming the parameters that differ.
    """
    description = describe(directory)
    stored = read(directory, description)
    wrong = []
    for path, value in stored.items():
        if checksum(value) != description.parameters[path]["crc32"]:
            wrong.append(path)
        if progress is not None:
            progress(path)
    if wrong:
        raise InputError(f"{directory} is damaged; these parameters differ from their checksums: {', '.join(wrong)}")
    return len(stored)


@contextlib.contextmanager
def _checkpointer():
    import orbax.checkpoint as ocp

    # Orbax reports every save at INFO and absl prints it.
    logging.getLogger("absl").setLevel(logging.ERROR)
    # Compression saves an eighth of the space and costs half of the loading time.
    with ocp.PyTreeCheckpointer(use_compression=False) as checkpointer:
        yield checkpointer


def _string_keys(tree: Any) -> Any:
    return {str(k): _string_keys(v) for k, v in tree.items()} if isinstance(tree, dict) else tree


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
