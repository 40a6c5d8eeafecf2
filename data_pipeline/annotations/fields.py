"""The values of an annotation entry, checked as they are read. Problems are collected, not raised."""

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

    Where a value breaks a rule, the methods note a problem and return None. A reader takes all values first and then
    checks for problems. `in` and iteration give the keys, as of a dictionary.

    Args:
        file: the annotation file, for messages.
        entry: name of the entry in the file, for messages.
        value: the entry.
        duplicates: keys that occur twice in the entry.

    Attributes:
        problems: everything that is wrong with the entry.
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
        """True if a value is missing or cannot be used."""
        return not all(problem.mended for problem in self.problems)

    def report(self, rule: str, detail: str) -> None:
        """Notes a problem."""
        self.problems.append(Problem(self.file, self.entry, rule, detail))

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def section(self, key: str) -> Fields:
        """The object under `key`. Its problems count as those of the entry."""
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
        """A string that is not blank."""
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

    def text_or_texts(self, key: str) -> tuple[str, ...] | None:
        """A string or a list of strings, blank ones too, as a list."""
        value = self._get(key)
        if value is _MISSING:
            return None
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
            return self._wrong_type(key, value, "text, or a list of texts")
        return tuple(self._whole_characters(key, one) for one in values)

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of different strings, none of them blank."""
        values = self.items(key)
        if values is None:
            return None
        known: set[str] = set()
        for value in values:
            if not isinstance(value, str) or not value.strip() or value in known or has_surrogate(value):
                return self.report("wrong word", f"{self._name(key)} holds {shown(value)}; all words must differ")
            known.add(value)
        return tuple(values)

    def indices(self, key: str) -> tuple[int, ...] | None:
        """A list of whole numbers from 0 on, ascending; None, without a problem, if there is no such key."""
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
        self.report(HALF_A_CHARACTER, f"{found}: a character was cut in two (a lone surrogate); write it whole")

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


# Pixels. Drawing tools put the last pixel at `width - 1` or at `width`, or round outwards. A box further out is that of
# another video, or of the same video in another size.
BOX_TOLERANCE = 1.0


def check_tube(fields: Fields, tube: tuple[int, int], clip: tuple[int, int]) -> bool:
    """True if the tube is not empty and lies within the clip; a problem is noted otherwise."""
    tube_text = f"the tube is frames {tube[0]} to {tube[1] - 1}"
    if tube[1] <= tube[0]:
        fields.report("empty tube", f"the tube begins with frame {tube[0]} and ends before frame {tube[1]}")
    elif tube[0] < clip[0]:
        fields.report("tube before the beginning", f"{tube_text}, the first possible one is {clip[0]}")
    elif tube[1] > clip[1]:
        fields.report("tube longer than the video", f"{tube_text}, the last possible one is {clip[1] - 1}")
    else:
        return True
    return False


def check_boxes(fields: Fields, boxes_xyxy: np.ndarray, width: int, height: int, first_frame: int) -> bool:
    """Notes boxes that are reversed, have no area, or reach out of the frame by more than `BOX_TOLERANCE` pixels.

    Args:
        boxes_xyxy: float [frames, 4], one box per frame from `first_frame` on.

    Returns:
        True if the tube can be used in spite of such problems: no box is reversed.
    """
    x1, y1, x2, y2 = boxes_xyxy.T
    is_reversed = (x2 < x1) | (y2 < y1)
    has_no_area = ~is_reversed & ((x2 == x1) | (y2 == y1))
    right, lower = width + BOX_TOLERANCE, height + BOX_TOLERANCE
    is_outside = ~is_reversed & ((np.minimum(x1, y1) < -BOX_TOLERANCE) | (x2 > right) | (y2 > lower))
    for wrong, rule, comment in (
        (is_reversed, "box reversed", "x2 < x1 or y2 < y1"),
        (has_no_area, "box without area", "x1 = x2 or y1 = y2"),
        (is_outside, "box outside the frame", f"the frame is {width} x {height}, {BOX_TOLERANCE:g} pixel is tolerated"),
    ):
        if wrong.any():
            first = int(np.argmax(wrong))
            box = ", ".join(f"{value:g}" for value in boxes_xyxy[first])
            count = f" (one of {wrong.sum()})" if wrong.sum() > 1 else ""
            fields.report(rule, f"frame {first_frame + first}{count} has the box {box}, x1 y1 x2 y2: {comment}")
    return not is_reversed.any()


def cut_to_frame(boxes_xyxy: np.ndarray, width: int, height: int) -> np.ndarray:
    """The boxes without their parts outside the frame, float64 [frames, 4]."""
    return np.clip(boxes_xyxy, 0.0, [width, height, width, height])
