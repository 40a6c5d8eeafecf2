"""What a folder of the shapes dataset holds already: all of it, by its manifest, or a part, by its journal."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stvg_jax.core.errors import InputError, first_line
from stvg_jax.core.files import check_kinds
from stvg_jax.core.json_files import parse_json

MANIFEST = "shapes.json"
# Of a dataset that is not finished: what it is to be in the first line, then one line for every finished video.
JOURNAL = "unfinished.jsonl"
_RECORD = {"scene": str, "frames": str, "annotation": dict}


def read_manifest(out: Path, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """The manifest of a finished dataset; None where there is none.

    Args:
        wanted: what the dataset should be, as the manifest says it.

    Raises:
        InputError: it is another dataset, or the manifest cannot be read.
    """
    try:
        manifest = parse_json((out / MANIFEST).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        raise InputError(f"{out / MANIFEST} cannot be read; delete {out} or choose another folder") from None
    _check_same(out, manifest, wanted)
    return manifest


def read_journal(out: Path, wanted: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The records of finished videos by their file names; empty for a new folder.

    Raises:
        InputError: `out` holds something else, or a line is damaged.
    """
    try:
        content = (out / JOURNAL).read_bytes()
    except FileNotFoundError:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f"{out} is not a shapes dataset; choose a new or empty folder") from None
        return {}
    # What follows the last line's end was being written when the work was interrupted.
    first, *lines = content.split(b"\n")[:-1] or [b"{}"]
    _check_same(out, _parsed(out, 1, first, dict), wanted)
    records = {}
    for number, line in enumerate(lines, 2):
        pair = _parsed(out, number, line, list)
        if len(pair) != 2 or not isinstance(pair[0], str):
            raise _damaged(out, number, "it is no name with a record")
        try:
            check_kinds(pair[1], _RECORD)
        except ValueError as error:
            raise _damaged(out, number, first_line(error)) from error
        records[pair[0]] = pair[1]
    return records


def _parsed(out: Path, number: int, line: bytes, kind: type) -> Any:
    try:
        value = parse_json(line)
    except ValueError as error:
        raise _damaged(out, number, first_line(error)) from error
    if not isinstance(value, kind):
        raise _damaged(out, number, f"it is a {type(value).__name__}")
    return value


def _damaged(out: Path, number: int, reason: str) -> InputError:
    return InputError(f"line {number} of {out / JOURNAL} is damaged: {reason}; delete {out}, or choose another folder")


def write_text(path: Path, text: str) -> None:
    """Whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


class Journal:
    """Notes what is finished, so that nothing is lost when the work is interrupted. A context manager."""

    def __init__(self, out: Path, wanted: Mapping[str, Any], records: Mapping[str, dict[str, Any]]):
        self._path = out / JOURNAL
        lines = map(json.dumps, [wanted, *records.items()])
        write_text(self._path, "".join(line + "\n" for line in lines))

    def __enter__(self) -> Journal:
        self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def add(self, name: str, record: dict[str, Any]) -> None:
        self._file.write(json.dumps([name, record]) + "\n")
        self._file.flush()


def _check_same(out: Path, found: Any, wanted: Mapping[str, Any]) -> None:
    found = found if isinstance(found, dict) else {}
    differing = [f"{key} {found.get(key)}, not {wanted[key]}" for key in wanted if found.get(key) != wanted[key]]
    if differing:
        raise InputError(f"{out} holds another dataset ({'; '.join(differing)}); choose another folder, or delete it")
