"""Values of an object out of a JSON file, of the type that they must have; ValueError where they have another."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

_LARGEST = 2**53


def text_at(fields: Mapping[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    return value


def whole_at(fields: Mapping[str, Any], name: str) -> int:
    if type(fields[name]) is not int or abs(fields[name]) > _LARGEST:
        raise ValueError(f"{name} is no whole number")
    return fields[name]


def number_at(fields: Mapping[str, Any], name: str) -> int | float:
    if type(fields[name]) not in (int, float) or not -_LARGEST <= fields[name] <= _LARGEST:
        raise ValueError(f"{name} is no number")
    return fields[name]


def numbers_at(fields: Mapping[str, Any], name: str, dtype: type[np.number]) -> np.ndarray:
    """A list of numbers, or of lists of them, all finite; whole ones where `dtype` is of integers."""
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
