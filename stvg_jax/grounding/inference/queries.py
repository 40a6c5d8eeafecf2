"""Questions about many videos, and files of them."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stvg_jax.core.arguments import check_part, check_path, check_str
from stvg_jax.core.errors import InputError, first_line, quoted
from stvg_jax.core.files import check_kinds
from stvg_jax.core.json_files import parse_json, read_text

_MAX_BYTES = 64_000_000
_MAX_LISTED = 20
_NEEDED, _OPTIONAL = ("video", "sentence"), ("subject", "start", "end")
_COLUMNS = (*_NEEDED, *_OPTIONAL)
_NUMBER = (int, float, type(None))
_KINDS = {"video": str, "sentence": str, "subject": (str, type(None)), "start": _NUMBER, "end": _NUMBER}


@dataclasses.dataclass(frozen=True)
class Query:
    """A question about a video.

    Attributes:
        video: path of the file.
        sentence: description of the target, in English.
        subject: the words that name the target; None to find them in the sentence.
        start, end: part of the video to search, in seconds; None for its beginning and its end.

    Raises:
        InputError: a value of a wrong type, or a part that holds nothing.
    """

    video: str
    sentence: str
    subject: str | None = None
    start: float | None = None
    end: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "video", check_path("video", self.video))
        check_str("sentence", self.sentence)
        if self.subject is not None:
            check_str("subject", self.subject)
        (start, end), _ = check_part(self.start, self.end, None)
        object.__setattr__(self, "start", start)
        object.__setattr__(self, "end", end)


def read_queries(path: Path, check: Callable[[Query], object]) -> list[Query]:
    """Questions in a table with a header (.csv) or in JSON lines (.jsonl), each once.

    The columns, or keys, are those of `Query`; the last three may be missing or empty. Paths of videos begin at the
    folder of the file, and become absolute.

    Args:
        path: the file.
        check: raises InputError for a question that the model cannot read (`Grounder.ask`).

    Raises:
        InputError: the file cannot be read or has no question; or rows cannot be used, which are listed with their
            lines.
    """
    queries: dict[Query, None] = {}
    problems = []
    for line, row in _rows(path):
        try:
            if isinstance(row, ValueError):
                raise row
            query = _query(row, path.absolute().parent)
            check(query)
            queries[query] = None
        except (InputError, ValueError) as error:
            problems.append(f"  line {line}: {first_line(error)}")
    if problems:
        listed = problems[:_MAX_LISTED]
        if len(problems) > len(listed):
            listed.append(f"  and {len(problems) - len(listed):,} more")
        raise InputError("\n".join([f"{path}: {len(problems):,} rows cannot be used; mend them", *listed]))
    if not queries:
        raise InputError(f"{path} has no question; give a row with {' and '.join(_NEEDED)} for each")
    return list(queries)


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | ValueError]]:
    """Line number and values of each row, or the reason why it cannot be read."""
    readers = {".csv": _csv_rows, ".jsonl": _json_rows}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path}: questions are read from a .csv or .jsonl file; give it one of these endings")
    if not path.is_file():
        raise InputError(f"{path}: {'not a file' if path.exists() else 'no such file'}; give a file of questions")
    if (size := path.stat().st_size) > _MAX_BYTES:
        raise InputError(
            f"{path} has {size:,} bytes, and at most {_MAX_BYTES:,} are read; divide it, with another --out for each"
        )
    # Not `splitlines`, which would also divide a sentence at Unicode's line separators.
    return readers[path.suffix.lower()](path, read_text(path).replace("\r\n", "\n").split("\n"))


def _json_rows(path: Path, lines: list[str]) -> Iterator[tuple[int, Mapping[str, Any] | ValueError]]:
    for line, content in enumerate(lines, 1):
        if not content.strip():
            continue
        try:
            row = parse_json(content)
            if not isinstance(row, dict):
                raise ValueError(f"it must be an object, not {type(row).__name__}")
            check_kinds(dict.fromkeys(_OPTIONAL) | row, _KINDS)
            if unknown := [key for key in row if key not in _COLUMNS]:
                raise ValueError(f"unknown key {quoted(unknown[0], 40)}; the keys are {', '.join(_COLUMNS)}")
        except ValueError as error:
            yield line, error
        else:
            yield line, row


def _csv_rows(path: Path, lines: list[str]) -> Iterator[tuple[int, Mapping[str, Any] | ValueError]]:
    reader = csv.reader((f"{line}\n" for line in lines), strict=True)
    try:
        header = [name.strip() for name in next(reader)]
    except csv.Error as error:
        raise InputError(f"{path}: line 1 is not CSV: {first_line(error)}") from error
    missing = [name for name in _NEEDED if name not in header]
    unknown = [name for name in header if name not in _COLUMNS]
    if missing or unknown or len(set(header)) < len(header):
        raise InputError(
            f"{path}: its first line is {quoted(','.join(header), 80)}; it must name the columns video and sentence, "
            "and may name subject, start and end, each once, divided by commas"
        )
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # What follows cannot be divided into rows.
            yield reader.line_num, ValueError(f"it is not CSV: {first_line(error)}")
            return
        if not any(map(str.strip, row)):
            continue
        if len(row) != len(header):
            yield (
                reader.line_num,
                ValueError(
                    f"it has {len(row)} values for {len(header)} columns; put a sentence with a comma in double quotes"
                ),
            )
        else:
            yield reader.line_num, dict(zip(header, row, strict=True))


def _query(row: Mapping[str, Any], folder: Path) -> Query:
    video = check_path("video", row["video"])
    video = os.fspath(folder / video)
    if not os.path.isfile(video):
        raise InputError(f"video {quoted(video)}: no such file")
    subject = row.get("subject") or None
    return Query(video, row["sentence"], subject, *(_seconds(name, row.get(name)) for name in ("start", "end")))


def _seconds(name: str, value: Any) -> Any:
    """The value of a cell; numbers of JSON are checked by `Query`."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return float(value)
    except ValueError:
        raise InputError(f"{name} {quoted(value, 40)}: must be a number of seconds") from None


def as_queries(questions: Iterable[Any]) -> list[Query]:
    """Questions from `Query` objects and (video, sentence) pairs.

    Raises:
        InputError: one is neither.
    """
    queries = []
    for question in questions:
        if isinstance(question, Query):
            queries.append(question)
        elif isinstance(question, (tuple, list)) and len(question) == 2:
            queries.append(Query(*question))
        else:
            raise InputError(
                f"a question of type {type(question).__name__}: must be a (video, sentence) pair or a Query"
            )
    return queries
