"""Records of an evaluation, one JSON line per sample: written while it runs, read again after an interruption.

FOLDER/identity.json      identity of the evaluation: everything that decides a result
FOLDER/part-00000.jsonl   records, one file per process

`docs/results.md` describes the lines.
"""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stvg_jax.core.characters import one_line, shown
from stvg_jax.core.errors import InputError, first_line
from stvg_jax.core.files import whole_file
from stvg_jax.core.json_files import parse_json
from stvg_jax.core.tree import differing_settings

if TYPE_CHECKING:
    from stvg_jax.family import Record

SCHEMA = "stvg_jax.records/1"
IDENTITY = "identity.json"
# Number of differences between evaluations that a message names.
_SHOWN = 12

R = TypeVar("R", bound="Record")


class RecordWriter:
    """Writer of the records of one process. Records survive a kill and a power cut once `append` has returned.

    Args:
        folder: folder of the records, shared by all processes; made if missing.
        identity: everything that decides a result (checkpoint, dataset, clip settings), as JSON values by name.
        process: number of this process.

    Raises:
        InputError: the folder holds records of another evaluation.
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], process: int = 0, *, defaults: Mapping[str, Any] | None = None
    ):
        folder.mkdir(parents=True, exist_ok=True)
        check_identity(folder, identity, defaults)
        path = folder / f"part-{process:05d}.jsonl"
        before = path.read_bytes() if path.exists() else b""
        end = _complete(before)
        self._file = path.open("ab")
        self._file.truncate(end)
        if end and not before[:end].endswith(b"\n"):
            self._file.write(b"\n")

    def append(self, records: Iterable[Record]) -> None:
        """Appends the records of a batch and waits until they are on the disk."""
        self._file.write("".join(record.to_line() + "\n" for record in records).encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _complete(content: bytes) -> int:
    """Number of bytes up to the end of the last complete record; its line end may be missing."""
    end = content.rfind(b"\n") + 1
    # Part of an object is not JSON.
    try:
        whole = isinstance(parse_json(content[end:]), dict)
    except ValueError:
        whole = False
    return len(content) if whole else end


def check_identity(folder: Path, identity: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> None:
    """Writes the identity of an evaluation into a folder without records, or compares it with the one there.

    Args:
        folder: of the records.
        identity: JSON values by name.
        defaults: values that the identity of an earlier version may lack, nested likewise.

    Raises:
        InputError: the records are of another evaluation, or their identity is missing or damaged.
    """
    path = folder / IDENTITY
    ours = json.loads(json.dumps(dict(identity)))
    if not path.exists():
        if any(folder.glob("*.jsonl")):
            raise InputError(
                f"{folder} has records but no {IDENTITY}, so they cannot be continued; choose another folder"
            )
        with whole_file(path) as file:
            json.dump({"schema": SCHEMA, "identity": ours}, file, indent=1)
        return
    try:
        header = parse_json(path.read_bytes())
        schema, theirs = header["schema"], header["identity"]
        differing = differing_settings(theirs, ours, defaults)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({first_line(error)}); choose another folder") from error
    if schema != SCHEMA:
        raise InputError(f"{path} has schema {shown(schema)}; this version reads {SCHEMA!r}; choose another folder")
    if differing:
        differences = [
            f"{one_line(name)} is {_told(there)} there and {_told(here)} here"
            for name, (there, here) in list(differing.items())[:_SHOWN]
        ]
        raise InputError(
            f"the records in {folder} are of another evaluation: {'; '.join(differences)}; choose another folder, or "
            "delete this one to start anew"
        )


def _told(value: Any) -> str:
    return "None" if value is None else one_line(json.dumps(value))


def read_records(path: Path, from_line: Callable[[bytes], R]) -> list[R]:
    """Reads a file of records, or all files of a folder in the order of their names, each sample once.

    A last line that a kill has cut short is left out.

    Args:
        path: the file or the folder.
        from_line: the inverse of `Record.to_line`; it raises ValueError for anything else.

    Raises:
        InputError: a line is damaged, or a sample has two different answers.
    """
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    records: dict[str, R] = {}
    sources: dict[str, tuple[Path, int]] = {}
    for file in files:
        for number, record in _read(file, from_line):
            if record.id not in records:
                records[record.id], sources[record.id] = record, (file, number)
            elif record.to_line() != records[record.id].to_line():
                first, line = sources[record.id]
                raise InputError(
                    f"sample {one_line(record.id)} has two different answers, in line {line} of {first} and line "
                    f"{number} of {file}; delete one of the lines"
                )
    return list(records.values())


def _read(path: Path, from_line: Callable[[bytes], R]) -> Iterator[tuple[int, R]]:
    lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n")
    for number, line in enumerate(lines, 1):
        last = number == len(lines)
        if last and not line:
            return
        try:
            yield number, from_line(line)
        except ValueError as error:
            if last:
                return
            raise InputError(
                f"line {number} of {path} is damaged: {first_line(error)}; delete it to have its sample evaluated again"
            ) from error


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Writes records as one file that appears complete or not at all."""
    with whole_file(path) as file:
        file.writelines(record.to_line() + "\n" for record in records)
