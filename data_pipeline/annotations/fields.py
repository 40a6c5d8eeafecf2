"""The values of one annotation entry, checked as they are taken out; what is wrong with them is collected."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from stvg_jax.core.characters import has_surrogate, one_line, shown, without_surrogates
from stvg_jax.core.errors import quoted
from stvg_jax.data_pipeline.annotations.problems import HALF_A_CHARACTER, Problem

_MISSING = object()
_LARGEST = 2**53
_ENGLISH_WORD = re.compile(r"[A-Za-z]")


class Fields:
    """An entry of an annotation file.

    The methods note a problem and return None where the value is not what it must be, so that a reader takes out all
    values first and then looks whether there are `problems`.

    Like a dictionary it says which keys it has, by `in` and by iteration.

    Args:
        file: the annotation file, for messages.
        entry: the name of the entry in it, for messages.
        value: the entry.
        duplicates: keys that occur twice in it.
    """

    def __init__(self, file: str, entry: str, value: Any, duplicates: Iterable[str] = ()):
        self.file = file
        self.entry = without_surrogates(entry)
        self.problems: list[Problem] = []
        self._prefix = ""
        self._is_object = isinstance(value, dict)
        self._values = value if self._is_object else {}
        if not self._is_object:
            self.report("wrong type", f"the entry is {shown(value)}, it must be an object")
        for key in duplicates:
            self.report("duplicate key", f"{one_line(key)} occurs twice in one object of the entry")
        if has_surrogate(entry):
            self._report_half(f"the name of the entry is {quoted(entry)}")

    @property
    def spoiled(self) -> bool:
        """Whether a value is missing or cannot be used."""
        return not all(problem.mended for problem in self.problems)

    def report(self, rule: str, detail: str) -> None:
        self.problems.append(Problem(self.file, self.entry, rule, detail))

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def section(self, key: str) -> Fields:
        """The object under `key`; its problems are this entry's."""
        value = self._get(key)
        section = Fields(self.file, self.entry, {})
        section.problems = self.problems
        section._prefix = f"{self._name(key)}."
        section._is_object = isinstance(value, dict)
        if section._is_object:
            section._values = value
        elif value is not _MISSING:
            self._wrong_type(key, value, "an object")
        return section

    def integer(self, key: str, least: int | None = None) -> int | None:
        """A whole number (640.0 counts as one), not below `least`."""
        value = self._get(key)
        return None if value is _MISSING else self._whole(key, value, least)

    def pair(self, key: str) -> tuple[int, int] | None:
        """A list of two whole numbers."""
        values = self.items(key)
        if values is None:
            return None
        if len(values) != 2:
            return self.report("wrong length", f"{self._name(key)} is {shown(values)}, it must hold two numbers")
        first, second = (self._whole(key, value) for value in values)
        return None if first is None or second is None else (first, second)

    def text(self, key: str) -> str | None:
        """A string with something in it."""
        value = self._get(key)
        if value is _MISSING:
            return None
        if not isinstance(value, str):
            return self._wrong_type(key, value, "text")
        if not value.strip():
            return self.report("empty text", f"{self._name(key)} is {shown(value)}")
        return self._whole_characters(key, value)

    def optional_text(self, key: str) -> str | None:
        """A string; None, without a problem, where it is missing, null or blank."""
        value = self._values.get(key)
        is_blank = value is None or (isinstance(value, str) and not value.strip())
        return None if is_blank else self.text(key)

    def sentence(self, key: str) -> str | None:
        """A string with an English word in it."""
        value = self._get(key)
        if value is _MISSING:
            return None
        if not isinstance(value, str):
            return self._wrong_type(key, value, "text")
        if not _ENGLISH_WORD.search(value):
            return self.report("empty sentence", f"{self._name(key)} is {shown(value)}, which has no English word")
        return self._whole_characters(key, value)

    def items(self, key: str) -> list | None:
        """A list."""
        value = self._get(key)
        if value is _MISSING:
            return None
        return value if isinstance(value, list) else self._wrong_type(key, value, "a list")

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of different strings with something in them."""
        values = self.items(key)
        if values is None:
            return None
        known: set[str] = set()
        for value in values:
            if not isinstance(value, str) or not value.strip() or value in known or has_surrogate(value):
                return self.report("wrong word", f"{self._name(key)} holds {shown(value)}; different words are needed")
            known.add(value)
        return tuple(values)

    def indices(self, key: str) -> tuple[int, ...] | None:
        """A list of numbers from 0 on, in ascending order; None, without a problem, where there is no list."""
        values = self.items(key) if key in self else None
        if values is None:
            return None
        read = [self._whole(key, value, least=0) for value in values]
        numbers = [number for number in read if number is not None]
        return tuple(sorted(set(numbers))) if len(numbers) == len(read) else None

    def boxes(self, rows: list, first_frame: int) -> np.ndarray | None:
        """`rows` of four numbers each, one per frame from `first_frame` on, as float64 [len(rows), 4]."""
        for i, row in enumerate(rows):
            if not isinstance(row, (list, tuple)) or len(row) != 4:
                return self.report("box without four numbers", f"the box of frame {first_frame + i} is {shown(row)}")
        if set(map(type, itertools.chain.from_iterable(rows))) <= {int, float}:
            boxes = np.array(rows)  # of objects where a number is too large for 64 bits
            if boxes.dtype.kind in "if" and np.isfinite(boxes).all():
                return boxes.astype(np.float64).reshape(-1, 4)
        wrong = next(i for i, row in enumerate(rows) if not all(_is_number(v) and abs(v) <= _LARGEST for v in row))
        return self.report("not a number", f"the box of frame {first_frame + wrong} is {shown(rows[wrong])}")

    def _get(self, key: str) -> Any:
        value = self._values.get(key, _MISSING)
        if value is _MISSING and self._is_object:
            self.report("missing key", f"there is no {self._name(key)}")
        elif has_surrogate(key):
            self._report_half(f"there is a key {self._name(key)}")
        return value

    def _name(self, key: str) -> str:
        """The path of a key, for messages; the keys of some objects are names out of the file."""
        return one_line(self._prefix + key)

    def _whole_characters(self, key: str, value: str) -> str:
        if has_surrogate(value):
            self._report_half(f"{self._name(key)} is {shown(value)}")
        return without_surrogates(value)

    def _report_half(self, found: str) -> None:
        self.report(HALF_A_CHARACTER, f"{found}: a character was cut in two (a lone surrogate), write it whole")

    def _whole(self, key: str, value: Any, least: int | None = None) -> int | None:
        if not _is_number(value) or (isinstance(value, float) and not math.isfinite(value)):
            return self.report("not a number", f"{self._name(key)} is {shown(value)}, it must be a whole number")
        if value != int(value) or abs(value) > _LARGEST:
            return self.report("not a whole number", f"{self._name(key)} is {shown(value)}")
        if least is not None and value < least:
            return self.report("number too small", f"{self._name(key)} is {value}, it must be at least {least}")
        return int(value)

    def _wrong_type(self, key: str, value: Any, expected: str) -> None:
        self.report("wrong type", f"{self._name(key)} is {shown(value)}, it must be {expected}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
