"""Annotation files: the file of a split, and JSON read entry by entry."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from stvg_jax.core.errors import InputError
from stvg_jax.core.json_files import not_json, read_text, repeated

_NAMES = {"object": "an object", "list": "a list"}
_NO_SPACE = re.compile(r"[^ \t\n\r]")


def find_file(folder: Path, split: str, layouts: Iterable[str]) -> Path | None:
    """The first of `layouts` (paths with "{split}" in them) that exists in `folder`."""
    places = (folder / layout.format(split=split) for layout in layouts)
    return next((place for place in places if place.is_file()), None)


def choose_file(path: Path, split: str, layouts: Iterable[str]) -> Path:
    """`path` itself if it is a file, else the file of `split` in it.

    Raises:
        InputError: there is no such file.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"there is no file or folder {path}")
    file = find_file(path, split, layouts)
    if file is None:
        names = ", ".join(layout.format(split=split) for layout in layouts)
        raise InputError(f"{path} has no annotations of the split {split!r}: none of {names} is there")
    return file


def splits_in(path: Path, layouts: Iterable[str]) -> list[str]:
    """The splits in a dataset folder, out of "train", "val" and "test"."""
    return [split for split in ("train", "val", "test") if find_file(path, split, layouts)]


class JsonFile:
    """A JSON file whose top level is an object or a list of entries.

    Entries are decoded one at a time: the merged VidSTG training file holds some 23 million boxes, which take ten
    gigabytes as Python objects.

    Args:
        path: the file.
        holds: required kind, "object" or "list"; None for either.

    Attributes:
        path: the file.
        holds: "object" or "list".

    Raises:
        InputError: the file is missing, not text, or of another kind.
    """

    def __init__(self, path: Path, *, holds: str | None = None):
        self.path = path
        self._text = read_text(path)
        self._duplicates: list[str] = []
        self._decoder = json.JSONDecoder(object_pairs_hook=self._object)
        self._start = self._skip_space(0)
        kinds = {"{": "object", "[": "list"}
        opening = self._text[self._start : self._start + 1]
        if opening not in kinds:
            raise self._broken(json.JSONDecodeError("an object or a list must be here", self._text, self._start))
        self.holds = kinds[opening]
        if holds not in (None, self.holds):
            raise InputError(f"{path} is {_NAMES[self.holds]}; its annotations must be {_NAMES[holds]}")

    def entries(self) -> Iterator[tuple[str, Any, list[str]]]:
        """Yields each entry: its key (in a list: its number), its value, and the keys that occur twice in the value.

        A key that occurs twice at the top level is yielded twice.

        Raises:
            InputError: the file is not JSON; the message has the line and the column.
        """
        try:
            yield from self._entries()
        except (ValueError, RecursionError) as error:
            raise self._broken(error) from None

    def _entries(self) -> Iterator[tuple[str, Any, list[str]]]:
        is_object = self.holds == "object"
        closing = "}" if is_object else "]"
        at = self._skip_space(self._start + 1)
        number = 0
        while self._text[at : at + 1] != closing or number:
            key = str(number)
            if is_object:
                if self._text[at : at + 1] != '"':
                    raise json.JSONDecodeError("a name in double quotes must be here", self._text, at)
                key, at = self._decoder.raw_decode(self._text, at)
                at = self._skip_space(self._expect(":", self._skip_space(at)))
            value, at = self._decoder.raw_decode(self._text, at)
            duplicates, self._duplicates = self._duplicates, []
            yield key, value, duplicates
            number += 1
            at = self._skip_space(at)
            if self._text[at : at + 1] == closing:
                break
            at = self._skip_space(self._expect(",", at))
        at = self._skip_space(at + 1)
        if at != len(self._text):
            raise json.JSONDecodeError("the file must end here", self._text, at)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            self._duplicates += repeated(key for key, _ in pairs)
        return value

    def _skip_space(self, at: int) -> int:
        found = _NO_SPACE.search(self._text, at)
        return len(self._text) if found is None else found.start()

    def _expect(self, character: str, at: int) -> int:
        if self._text[at : at + 1] != character:
            raise json.JSONDecodeError(f"{character!r} must be here", self._text, at)
        return at + 1

    def _broken(self, error: Exception) -> InputError:
        return not_json(self.path, error)
