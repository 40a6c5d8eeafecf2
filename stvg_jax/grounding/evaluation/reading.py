"""Reading of JSON that other programs may have written: piece by piece, checked, with all problems told at once."""

from __future__ import annotations

import itertools
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from stvg_jax.core.characters import one_line
from stvg_jax.core.errors import InputError

_LARGEST = 2**53
_SHOWN = 12
_LONGEST = 300


class JsonScanner:
    """Reads JSON text member by member, for files too large to become Python objects as a whole.

    Its methods raise ValueError where the text is not JSON.
    """

    _decoder = json.JSONDecoder(object_pairs_hook=tuple)
    _space = re.compile(r"[ \t\n\r]*")

    def __init__(self, text: str):
        self._text, self._at = text, 0

    def members(self) -> Iterator[str]:
        """Keys of the object that begins here; the caller must read each value before the next key."""
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
        """The value that begins here, with objects as tuples of (key, value), which show keys that occur twice."""
        self._next()
        value, self._at = self._decoder.raw_decode(self._text, self._at)
        return value

    def skip(self) -> None:
        """Skips a value, with at most one of its members in memory."""
        if self._next() != "{":
            self.value()
            return
        for _ in self.members():
            self.value()

    def end(self) -> None:
        """Raises ValueError if anything follows."""
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


# Values of an object, of the type that they must have; ValueError for any other type.


def text_at(fields: Mapping[str, Any], name: str) -> str:
    """A text."""
    value = fields[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    return value


def whole_at(fields: Mapping[str, Any], name: str) -> int:
    """A whole number."""
    if type(fields[name]) is not int or abs(fields[name]) > _LARGEST:
        raise ValueError(f"{name} is no whole number")
    return fields[name]


def number_at(fields: Mapping[str, Any], name: str) -> int | float:
    """A finite number."""
    if type(fields[name]) not in (int, float) or not -_LARGEST <= fields[name] <= _LARGEST:
        raise ValueError(f"{name} is no number")
    return fields[name]


def numbers_at(fields: Mapping[str, Any], name: str, dtype: type[np.number]) -> np.ndarray:
    """A list of finite numbers, or of lists of them, as an array; whole numbers if `dtype` is an integer type."""
    values = fields[name] if isinstance(fields[name], list) else [None]
    flat = itertools.chain.from_iterable(value if isinstance(value, list) else [value] for value in values)
    if not set(map(type, flat)) <= ({int} if np.issubdtype(dtype, np.integer) else {int, float}):
        raise ValueError(f"{name} are no list of numbers")
    try:
        with np.errstate(over="ignore"):
            array = np.array(values, dtype)
    except OverflowError as error:
        raise ValueError(f"{name} hold a number that is too large") from error
    if not np.isfinite(array).all():
        raise ValueError(f"{name} are not finite")
    return array


class Problems:
    """Problems of a file, collected by the rule that they break."""

    def __init__(self) -> None:
        self._cases: dict[str, list[str]] = {}

    def add(self, rule: str, case: str) -> None:
        """Adds `case`, such as the id of a sample, to those that break `rule`."""
        self._cases.setdefault(rule, []).append(one_line(case, _LONGEST))

    def raise_all(self, what: str) -> None:
        """Raises InputError if there are any problems, with a line for each rule.

        A long list is written to a file, which the message names.

        Args:
            what: beginning of the message, such as "a.json cannot be scored".
        """
        if not self._cases:
            return
        message = self._told(what, _SHOWN)
        if any(len(cases) > _SHOWN for cases in self._cases.values()):
            handle, name = tempfile.mkstemp(prefix="stvg_jax_problems_", suffix=".txt")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(self._told(what, None) + "\n")
            message += f"\nall of them: {name}"
        raise InputError(message)

    def _told(self, what: str, most: int | None) -> str:
        lines = [f"{what}:"]
        for rule, cases in self._cases.items():
            more = "" if most is None or len(cases) <= most else f", and {len(cases) - most:,} more"
            lines.append(f"  {rule} ({len(cases):,}): {', '.join(cases[:most])}{more}")
        return "\n".join(lines)
