"""JSON files too large to become Python objects as a whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any


class JsonScanner:
    """Walks through JSON text member by member. Its methods raise ValueError where the text is not JSON."""

    _decoder = json.JSONDecoder(object_pairs_hook=tuple)
    _space = re.compile(r"[ \t\n\r]*")

    def __init__(self, text: str):
        self._text, self._at = text, 0

    def members(self) -> Iterator[str]:
        """The keys of the object that begins here; the caller takes each value before the next key."""
        self._take("{")
        if self._next() == "}":
            self._take("}")
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise ValueError(f"a key is not text at character {self._at}")
            self._take(":")
            yield key
            if self._take(",}") == "}":
                return

    def value(self) -> Any:
        """The value that begins here; objects in it are tuples of (key, value), so that keys given twice are seen."""
        self._next()
        value, self._at = self._decoder.raw_decode(self._text, self._at)
        return value

    def skip(self) -> None:
        """Passes over a value, holding no more than a member of it."""
        if self._next() != "{":
            self.value()
            return
        for _ in self.members():
            self.value()

    def end(self) -> None:
        """Makes sure that nothing follows."""
        if self._next():
            raise ValueError(f"there is more after the end, at character {self._at}")

    def _next(self) -> str:
        space = self._space.match(self._text, self._at)  # which may be empty
        self._at = space.end() if space else self._at
        return self._text[self._at : self._at + 1]

    def _take(self, wanted: str) -> str:
        found = self._next()
        if not found or found not in wanted:
            raise ValueError(f"expected {' or '.join(wanted)} at character {self._at}, found {found or 'the end'!r}")
        self._at += 1
        return found
