"""Checks of arguments that public functions and options of the command line share."""

from __future__ import annotations

import math
import numbers
import operator
import os
from typing import Any

from stvg_jax.core.errors import InputError, quoted

# Of a text: ten for each of the 512 tokens that text encoders take. Much longer ones would take minutes to split into
# tokens and to draw.
_MAX_CHARACTERS = 5_120


def check_path(name: str, value: Any) -> str:
    """Returns a path as text; raises InputError for anything else."""
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str) or not path or "\0" in path:
        raise InputError(f"{name} {_shown(value)}: must be the path of a file or folder")
    return path


def check_str(name: str, value: Any) -> str:
    """Returns a text; raises InputError for anything else."""
    if not isinstance(value, str):
        raise InputError(f"{name} {_shown(value)}: must be text")
    return value


def check_text(name: str, value: Any) -> str:
    """Returns a text that a model reads; raises InputError for anything else, and for one that is far too long."""
    if len(check_str(name, value)) > _MAX_CHARACTERS:
        raise InputError(
            f"{name} {quoted(value, 60)} has {len(value):,} characters, and at most {_MAX_CHARACTERS:,} are read; say "
            "it in fewer words"
        )
    return value


def check_flag(name: str, value: Any) -> None:
    """Raises InputError for anything but True and False."""
    if not isinstance(value, bool):
        raise InputError(f"{name} {_shown(value)}: must be True or False")


def check_whole(name: str, value: Any) -> int:
    """Returns a whole number, Python's or numpy's, as int; raises InputError for anything else, booleans included."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or abs(number) >= 2**63:
        raise InputError(f"{name} {_shown(value)}: must be a whole number of 64 bits")
    return number


def check_part(
    start: float | None, end: float | None, frames: tuple[int | None, int | None] | None
) -> tuple[tuple[float | None, float | None], tuple[int | None, int | None]]:
    """Checks the part of a video to search, as far as that is possible without the video.

    Returns:
        (start, end) in seconds and (start, end) in frames, end one past the last; None for a bound that is not given.

    Raises:
        InputError: a bound is negative or not finite, an end is not after its start, or both kinds are given.
    """
    seconds = _seconds("start", start), _seconds("end", end)
    frames = (None, None) if frames is None else frames
    if not isinstance(frames, (tuple, list)) or len(frames) != 2:
        raise InputError(f"frames {_shown(frames)}: must be two, (first, one past the last); None for an open end")
    first, stop = (None if f is None else check_whole("frames", f) for f in frames)
    if (first, stop) != (None, None) and seconds != (None, None):
        raise InputError("give the part to search in frames or in seconds, not both")
    for name, (low, high) in (("seconds", seconds), ("frames", (first, stop))):
        if (low or 0) < 0 or (high is not None and high <= (low or 0)):
            bounds = ":".join("" if value is None else f"{value:.12g}" for value in (low, high))
            raise InputError(f"{name} {bounds} hold nothing; begin at 0 or later, and end after that")
    return seconds, (first, stop)


def _seconds(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InputError(f"{name} {_shown(value)}: must be a number of seconds")
    # A very large int cannot be converted.
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    if not 0 <= seconds < math.inf:
        raise InputError(f"{name} {seconds:g}: must be a finite number of seconds, 0 or more")
    return seconds


def _shown(value: Any) -> str:
    """Text of a value for a message; its type where the text might be long."""
    if isinstance(value, str):
        return quoted(value)
    return str(value) if value is None or isinstance(value, (bool, float)) else f"of type {type(value).__name__}"
