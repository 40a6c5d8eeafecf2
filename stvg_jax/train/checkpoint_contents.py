"""Contents of a training checkpoint: the names of its arrays, checksums of its files, and scores."""

from __future__ import annotations

import json
import logging
import math
import re
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax

from stvg_jax.core.errors import InputError, first_line, quoted
from stvg_jax.core.files import check_kinds, whole_file
from stvg_jax.core.json_files import parse_json
from stvg_jax.core.tree import check_same_parameters

FORMAT = "stvg_jax.train/1"

_log = logging.getLogger(__name__)
_CHECKSUMS = "checksums.json"
_SCORES = "scores.json"
_DAMAGED = "damaged"
# Rewritten by Orbax while it renames the folder; reading a state does not need it.
_ORBAX_METADATA = "_CHECKPOINT_METADATA"
_CHUNK = 1 << 22
_READERS = 4


def named_leaves(state: Any) -> dict[str, Any]:
    """Path -> leaf, in the tree's order. Orbax keeps flat dictionaries unchanged, but not all other containers."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in jax.tree.leaves_with_path(state)
    }


def describe_arrays(arrays: Mapping[str, Any]) -> dict[str, list]:
    """Name -> [dtype, shape] as JSON values."""
    return {name: [str(array.dtype), list(array.shape)] for name, array in arrays.items()}


def find_sources(saved: Collection[str], wanted: Iterable[str], inherited: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Array that is not saved -> saved array whose value it gets, by the first rule that gives one.

    Args:
        saved: names of the saved arrays.
        wanted: names of the arrays of the state.
        inherited: rules (`stvg_jax.train.checkpoints.Checkpoints.restore`).
    """
    sources = {}
    for name in wanted:
        if name not in saved:
            others = (match.expand(other) for pattern, other in inherited if (match := re.fullmatch(pattern, name)))
            if source := next((other for other in others if other in saved), None):
                sources[name] = source
    return sources


def check_same_arrays(
    about: Mapping[str, Any], wanted: Mapping[str, Any], sources: Mapping[str, str], where: Path
) -> None:
    """Raises InputError unless the saved arrays have the shapes and dtypes of the state.

    Orbax would pad and cut arrays of other shapes, and convert those of other dtypes.

    Args:
        about: description of the checkpoint: its `format`, and `arrays` as by `describe_arrays`.
        wanted: name -> array or shape of the state.
        sources: result of `find_sources`.
        where: folder of the checkpoint, for the message.
    """
    if about["format"] != FORMAT:
        raise InputError(f"{where} has format {about['format']!r}; this version reads {FORMAT!r}")
    found = {name: jax.ShapeDtypeStruct(shape, dtype) for name, (dtype, shape) in about["arrays"].items()}
    found |= {name: found[source] for name, source in sources.items()}
    check_same_parameters(found, wanted, str(where))
    types = {name: (found[name].dtype, leaf.dtype) for name, leaf in wanted.items()}
    if other := [f"{name} is {there}, not {here}" for name, (there, here) in types.items() if there != here]:
        raise InputError(f"{where} has arrays of other types: {'; '.join(other)}")


def write_checksums(folder: Path) -> None:
    """Writes the checksums of a checkpoint's files into its folder."""
    files = [file for file in folder.rglob("*") if file.is_file() and file != folder / _ORBAX_METADATA]
    table = {file.relative_to(folder).as_posix(): entry for file, entry in _checksums(files).items()}
    with whole_file(folder / _CHECKSUMS) as file:
        json.dump(table, file)


def find_fault(folder: Path) -> str | None:
    """Damage of a checkpoint's files in a few words; None if they are undamaged."""
    if not folder.is_dir():
        return "does not exist"
    try:
        table = {folder / name: list(entry) for name, entry in parse_json((folder / _CHECKSUMS).read_bytes()).items()}
        for file, (_, size) in table.items():
            if not file.is_file():
                return f"{file.relative_to(folder)} is missing"
            if (found := file.stat().st_size) != size:
                return f"{file.relative_to(folder)} has {found:,} bytes, not {size:,}"
        for file, entry in _checksums(list(table)).items():
            if entry != table[file]:
                return f"{file.relative_to(folder)} differs from its checksum"
    except FileNotFoundError:
        return f"{_CHECKSUMS} is missing"
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return f"cannot be checked: {first_line(error)}"
    return None


def _checksums(files: Sequence[Path]) -> dict[Path, list[int]]:
    """[crc32, bytes] of each file."""
    with ThreadPoolExecutor(_READERS) as pool:
        return dict(zip(files, pool.map(_checksum, files), strict=True))


def _checksum(path: Path) -> list[int]:
    value, size = 0, 0
    chunk = memoryview(bytearray(_CHUNK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(chunk):
            value = zlib.crc32(chunk[:count], value)
            size += count
    return [value, size]


def move_aside(directory: Path, steps: Iterable[int]) -> None:
    """Moves the checkpoints of these steps into a folder for damaged ones."""
    folder = directory / _DAMAGED
    folder.mkdir(exist_ok=True)
    for step in steps:
        number = 0
        while (target := folder / (f"{step}.{number}" if number else f"{step}")).exists():
            number += 1
        (directory / str(step)).rename(target)


def read_scores(directory: Path) -> dict[str, float]:
    """Step, as text, -> score. There are none, with a warning, if the file is damaged.

    Raises:
        OSError: the file cannot be read.
    """
    path = directory / _SCORES
    try:
        scores = parse_json(path.read_bytes())
        check_kinds(scores, {}, others=(int, float))
        if wrong := [step for step, value in scores.items() if not step.isdecimal() or not math.isfinite(value)]:
            raise ValueError(f"{quoted(wrong[0], 40)} has no score")
    except FileNotFoundError:
        return {}
    except ValueError as error:
        _log.warning("%s is damaged (%s); no checkpoint counts as the best", path, first_line(error))
        return {}
    return scores


def write_scores(directory: Path, scores: Mapping[str, float]) -> None:
    """Writes the scores as `read_scores` reads them."""
    with whole_file(directory / _SCORES) as file:
        json.dump(scores, file)
