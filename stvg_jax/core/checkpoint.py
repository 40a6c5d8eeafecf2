"""Model checkpoints: folders with everything that running a model takes.

DIR/checkpoint.json   name and configuration of the model, settings of its clips, checksums of the parameters, sizes of
                      their files
DIR/parameters/       arrays, written by Orbax; or DIR/parameters.safetensors, one file that other programs can read
DIR/tokenizer/        tokenizer.json
DIR/conversion.json   source of the parameters, for a converted checkpoint
DIR/training.json     history of the parameters, for a trained checkpoint
DIR/calibration.json  numbers for the confidence in answers, of a checkpoint that was calibrated
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ml_dtypes
import numpy as np

from stvg_jax.core.errors import InputError, first_line, quoted
from stvg_jax.core.files import in_utf8
from stvg_jax.core.json_files import parse_json
from stvg_jax.core.tree import check_same_parameters, flatten, unflatten

if TYPE_CHECKING:
    import orbax.checkpoint as ocp

FORMAT = "stvg_jax.checkpoint/1"
_DESCRIPTION = "checkpoint.json"
_PARAMETERS = "parameters"
PARAMETERS_FILE = "parameters.safetensors"
TOKENIZER = "tokenizer"
CONVERSION, TRAINING, CALIBRATION = "conversion.json", "training.json", "calibration.json"
# A part of a parameter's path, or of a file's path below the folder. Paths are printed, and files are opened by them.
_PART = re.compile(r"[\w.+-]+", re.ASCII)
_MAX_PATH = 500
_MAX_NAMED = 20


@dataclasses.dataclass(frozen=True)
class Description:
    """Content of `checkpoint.json`.

    Attributes:
        model: a key of `stvg_jax.core.registry.FAMILIES`.
        config: sections `model` and `clip` of the experiment.
        kind: "model", or "initialisation" for parameters that only a training can start from.
        note: one line for people.
        parameters: path -> {"shape": [...], "crc32": checksum of the bytes}, filled by `write`.
        files: path in the folder -> bytes, for each file of parameters, filled by `write`.
    """

    model: str
    config: Mapping[str, Any]
    kind: str = "model"
    note: str = ""
    parameters: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    files: Mapping[str, int] = dataclasses.field(default_factory=dict)


def checksum(array: np.ndarray) -> int:
    """crc32 of an array's bytes in row-major order."""
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data)


@contextlib.contextmanager
def new_directory(directory: Path, *, force: bool = False) -> Iterator[Path]:
    """Makes a folder that appears complete or not at all: yields a temporary one beside it, renamed on success.

    Args:
        directory: the folder to make; its parents are made too.
        force: whether to replace a checkpoint that is already there.

    Raises:
        InputError: it exists and `force` is False or it is not a checkpoint; or its parent cannot be written.
    """
    directory = directory.resolve()
    if directory.exists():
        if not force:
            raise InputError(f"{directory} exists already; choose another folder or pass --force to replace it")
        if not is_checkpoint(directory) and (directory.is_file() or any(directory.iterdir())):
            raise InputError(f"{directory} is not a checkpoint and is not replaced; choose another folder")
    parents = [parent for parent in directory.parents if not parent.exists()]
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    except OSError as error:
        _remove_empty(parents)
        raise InputError(f"cannot write {directory}: {error.filename}: {error.strerror}") from error
    try:
        yield partial
        partial.chmod(0o755)
        old = partial.with_name(f"{partial.name}.old")
        if force and directory.exists():
            directory.rename(old)
        partial.rename(directory)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        _remove_empty(parents)
        raise


def _remove_empty(directories: list[Path]) -> None:
    with contextlib.suppress(OSError):
        for directory in directories:
            directory.rmdir()


def write(
    directory: Path, parameters: Mapping[str, np.ndarray], description: Description, *, one_file: bool = False
) -> None:
    """Writes parameters and their description into an existing folder that has none.

    Args:
        directory: the folder.
        parameters: path -> array, float32 or, to halve the size of the folder, bfloat16.
        description: their description; `parameters` and `files` are filled in.
        one_file: whether to write one safetensors file instead of Orbax's folder.

    Raises:
        InputError: they cannot be written.
    """
    table = {path: {"shape": list(value.shape), "crc32": checksum(value)} for path, value in parameters.items()}
    path = (directory / (PARAMETERS_FILE if one_file else _PARAMETERS)).absolute()
    try:
        if one_file:
            from safetensors.numpy import save_file

            save_file({name: np.asarray(value, order="C") for name, value in parameters.items()}, path)
        else:
            with in_utf8(directory) as folder, _checkpointer() as checkpointer:
                checkpointer.save((folder / _PARAMETERS).absolute(), _string_keys(unflatten(parameters)))
    except Exception as error:  # Orbax, tensorstore and safetensors raise many kinds
        raise InputError(f"the parameters cannot be written to {path}: {first_line(error)}") from error
    written = [path] if one_file else sorted(file for file in path.rglob("*") if file.is_file())
    files = {file.relative_to(directory.absolute()).as_posix(): file.stat().st_size for file in written}
    description = dataclasses.replace(description, parameters=table, files=files)
    record = {"format": FORMAT, **dataclasses.asdict(description)}
    (directory / _DESCRIPTION).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if one_file:
        # safetensors makes a file that only its owner can read.
        shutil.copymode(directory / _DESCRIPTION, path)


def is_checkpoint(directory: Path) -> bool:
    """True if a folder has the description of a checkpoint."""
    return (directory / _DESCRIPTION).is_file()


def describe(directory: Path) -> Description:
    """Reads the description of a checkpoint.

    Raises:
        InputError: the folder is missing, or is not a checkpoint of this library.
    """
    if not directory.is_dir():
        kind = "is a file" if directory.exists() else "does not exist"
        hint = "; `stvg-jax convert` turns a .pth file into one" if directory.is_file() else ""
        raise InputError(f"checkpoint {directory} {kind}; a checkpoint is a folder with {_DESCRIPTION}{hint}")
    path = directory / _DESCRIPTION
    try:
        record = parse_json(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{directory} is not a checkpoint: it has no {_DESCRIPTION}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {quoted(str(error), 300)}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        found = record.get("format") if isinstance(record, dict) else record
        found = found if found is None else quoted(found if isinstance(found, str) else type(found).__name__)
        raise InputError(f"{directory} has format {found}; this version reads {FORMAT!r}")
    fields = {field.name for field in dataclasses.fields(Description)}
    if unknown := [key for key in record if key not in fields and key != "format"]:
        raise InputError(f"{path} is incomplete or has unknown keys: {', '.join(map(quoted, unknown[:_MAX_NAMED]))}")
    try:
        description = Description(**{key: value for key, value in record.items() if key != "format"})
    except TypeError as error:  # a key that is missing
        raise InputError(f"{path} is incomplete or has unknown keys: {error}") from error
    _check_description(path, description)
    return description


def _check_description(path: Path, description: Description) -> None:
    kinds = {"model": str, "kind": str, "note": str, "config": dict, "parameters": dict, "files": dict}
    for field, kind in kinds.items():
        if not isinstance(value := getattr(description, field), kind):
            raise InputError(
                f"{path} is incomplete or damaged: its {field} must be of type {kind.__name__}, not "
                f"{type(value).__name__}"
            )
    for name, entry in description.parameters.items():
        _check_path(path, name)
        shape = entry.get("shape") if isinstance(entry, dict) else None
        if not isinstance(shape, list) or not all(map(_is_count, shape)) or not _is_count(entry.get("crc32")):
            raise InputError(f"{path} is incomplete or damaged: parameter {quoted(name)} lacks shape and crc32")
    for name, size in description.files.items():
        _check_path(path, name)
        if not _is_count(size):
            raise InputError(f"{path} is incomplete or damaged: file {quoted(name)} lacks a size")


def _check_path(where: Path, name: str) -> None:
    parts = name.split("/")
    if len(name) > _MAX_PATH or not all(_PART.fullmatch(part) and part not in (".", "..") for part in parts):
        raise InputError(f"{where} is damaged: it holds {quoted(name)}, which names no parameter and no file in it")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**62


def check(directory: Path, description: Description, declarations: Mapping[str, Any]) -> None:
    """Raises InputError with all differences unless the described parameters are those of the model.

    Args:
        directory: the checkpoint, for the message.
        description: its description.
        declarations: path -> declared parameter of the model.
    """
    shapes = {path: _Shape(tuple(entry["shape"])) for path, entry in description.parameters.items()}
    check_same_parameters(shapes, declarations, str(directory))


class _Shape(NamedTuple):
    shape: tuple[int, ...]


def read(directory: Path, description: Description) -> dict[str, np.ndarray]:
    """Reads the parameters, path -> float32 array, of those that are stored as bfloat16 too.

    Raises:
        InputError: they cannot be read, or are not those of the description.
    """
    stored = _read_stored(directory, description)
    for path, value in stored.items():
        if value.dtype == ml_dtypes.bfloat16:
            stored[path] = value.astype(np.float32)
    return stored


def _read_stored(directory: Path, description: Description) -> dict[str, np.ndarray]:
    check_files(directory, description)
    one_file = PARAMETERS_FILE in description.files
    path = (directory / (PARAMETERS_FILE if one_file else _PARAMETERS)).absolute()
    try:
        if one_file:
            from safetensors.numpy import load_file

            stored = load_file(path)
        else:
            with in_utf8(directory) as folder, _checkpointer() as checkpointer:
                stored = flatten(checkpointer.restore((folder / _PARAMETERS).absolute()))
    except Exception as error:  # Orbax, tensorstore and safetensors raise many kinds
        raise InputError(f"the parameters in {path} cannot be read: {quoted(first_line(error), 300)}") from error
    for name in stored:
        _check_path(path, name)
    check(directory, description, stored)
    return stored


def check_files(directory: Path, description: Description) -> None:
    """Raises InputError unless all files of parameters are there and have their sizes."""
    # Tensorstore answers a file that was cut short with thousands of lines on standard error.
    for name, size in description.files.items():
        file = directory / name
        found = file.stat().st_size if file.is_file() else None
        if found != size:
            what = "is missing" if found is None else f"has {found:,} bytes, not {size:,}"
            raise InputError(f"{directory} is damaged: {name} {what}; copy the checkpoint again or make it anew")


def verify(directory: Path, progress: Callable[[str], None] | None = None) -> int:
    """Compares every stored parameter with its checksum.

    Returns:
        The number of parameters.

    Raises:
        InputError: some differ; the message names them.
    """
    description = describe(directory)
    stored = _read_stored(directory, description)
    wrong = []
    for path, value in stored.items():
        if checksum(value) != description.parameters[path]["crc32"]:
            wrong.append(path)
        if progress is not None:
            progress(path)
    if wrong:
        named = ", ".join(wrong[:_MAX_NAMED]) + (f" and {len(wrong) - _MAX_NAMED} more" if wrong[_MAX_NAMED:] else "")
        raise InputError(
            f"{directory} is damaged: these parameters differ from their checksums: {named}; copy the checkpoint again "
            "or make it anew"
        )
    return len(stored)


@contextlib.contextmanager
def _checkpointer() -> Iterator[ocp.Checkpointer]:
    import jax
    import orbax.checkpoint as ocp

    # Orbax reports every save at INFO and absl prints it.
    logging.getLogger("absl").setLevel(logging.ERROR)
    # Each host works alone: this may run on a thread, where waiting for other hosts would disturb the main program.
    host = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=host, active_processes={host}, barrier_sync_key_prefix=f"host{host}"
    )
    # Compression would save an eighth of the space and double the loading time.
    handler = ocp.PyTreeCheckpointHandler(use_compression=False, multiprocessing_options=alone)
    with ocp.Checkpointer(handler, multiprocessing_options=alone) as checkpointer:
        yield checkpointer


def _string_keys(tree: Any) -> Any:
    return {str(k): _string_keys(v) for k, v in tree.items()} if isinstance(tree, dict) else tree
