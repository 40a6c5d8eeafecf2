"""Answers to many questions on disk.

OUT/settings.json   the model and the resolution, written first
OUT/answers.jsonl   a sealed line for each answer; the last one about a question counts

A line has the values of the `Query`, the size and time of change of the video's file, and `tube`, as in tube.json, or
`error`, the reason why there is none.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stvg_jax.core.errors import InputError, first_line, quoted
from stvg_jax.core.files import append_line, check_kinds, iter_sealed_lines, whole_file
from stvg_jax.core.json_files import read_json
from stvg_jax.core.locks import lock_to_write
from stvg_jax.core.tree import differing_settings
from stvg_jax.grounding.inference.queries import Query
from stvg_jax.grounding.inference.tube import Tube

_FORMAT = "stvg_jax.answers/1"
_SETTINGS, _ANSWERS = "settings.json", "answers.jsonl"
_FIELDS = tuple(field.name for field in dataclasses.fields(Query))


@dataclasses.dataclass(frozen=True)
class _Record:
    """State of the video's file when a question about it was asked, and the error; "" for an answer."""

    bytes: int
    mtime_ns: int
    error: str


class Records:
    """Answers in a folder, locked while this process adds to them; a context manager.

    Args:
        out: the folder; made if missing.
        settings: JSON values that decide the answers. Answers of others are not continued.

    Raises:
        InputError: the folder has answers of other settings, or damaged ones; or another process is adding to it.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any]):
        out.mkdir(parents=True, exist_ok=True)
        self.path = out / _ANSWERS
        self._lock = lock_to_write(out)
        try:
            _check_settings(out, {"format": _FORMAT, **settings})
            self._known: dict[Query, _Record] = {}
            for query, record, _ in self._lines():
                self._known[query] = record
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Records:
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.release()

    def is_done(self, query: Query, *, retry: bool = False) -> bool:
        """True if a question need not be asked: there is an answer or, without `retry`, an error, for this file."""
        known = self._known.get(query)
        if known is None or (known.error and retry):
            return False
        return (known.bytes, known.mtime_ns) == _state(query.video)

    def error(self, query: Query) -> str:
        """Reason why a question that was asked has no answer; "" if it has one."""
        return self._known[query].error

    def add(self, query: Query, answer: Tube | InputError) -> None:
        """Adds an answer; it is on the disk when this returns."""
        size, changed = _state(query.video)
        error = first_line(answer) if isinstance(answer, InputError) else ""
        content = {"tube": answer.to_dict()} if isinstance(answer, Tube) else {"error": error}
        append_line(self.path, {**dataclasses.asdict(query), "bytes": size, "mtime_ns": changed, **content})
        self._known[query] = _Record(size, changed, error)

    def tubes(self) -> Iterator[tuple[Query, Tube]]:
        """The tubes on disk, one at a time."""
        for query, record, tube in self._lines():
            if tube is not None and record == self._known[query]:
                yield query, Tube.from_json(tube)

    def _lines(self) -> Iterator[tuple[Query, _Record, Mapping[str, Any] | None]]:
        for number, line in enumerate(iter_sealed_lines(self.path), 1):
            try:
                check_kinds(line, {**dict.fromkeys(_FIELDS, object), "bytes": int, "mtime_ns": int})
                tube = line.get("tube")
                record = _Record(line["bytes"], line["mtime_ns"], "" if tube else str(line["error"]))
                yield Query(**{name: line[name] for name in _FIELDS}), record, tube
            except (InputError, ValueError, KeyError) as error:
                raise InputError(
                    f"line {number} of {self.path} is no answer: {first_line(error)}; choose another folder with --out"
                ) from error


def _check_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Compares the settings of a folder with these, or writes them into an empty one."""
    file = out / _SETTINGS
    if not file.exists():
        if (out / _ANSWERS).exists():
            raise InputError(f"{out / _ANSWERS} has no {_SETTINGS} beside it; choose another folder with --out")
        with whole_file(file) as text:
            json.dump(settings, text, indent=1)
        return
    found = read_json(file)
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise InputError(f"{file} is not the settings of answers; choose another folder with --out")
    if differing := differing_settings(found, settings):
        name, (before, now) = next(iter(differing.items()))
        raise InputError(
            f"{out} has answers with another {name} ({quoted(before, 40)} before, {quoted(now, 40)} now); choose "
            "another folder with --out"
        )


def _state(video: str) -> tuple[int, int]:
    """Size and time of change of a file; -1 for one that is gone."""
    try:
        status = os.stat(video)
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns
