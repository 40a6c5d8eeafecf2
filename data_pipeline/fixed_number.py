"""Rules that choose a fixed number of frames of a whole video (STGT and ALPRO, `datasets/data_utils.py`: `load_video`).

Retrieval models see each video as the same number of frames, whatever its length.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stvg_jax.core.errors import InputError, quoted

# Number of frames of the released retrieval models.
FRAMES = 8


def choose_frames(
    frame_count: int, *, rule: str, number: int = FRAMES, rng: np.random.Generator | None = None
) -> np.ndarray:
    """Frames of a video by a rule.

    Args:
        frame_count: frames of the video.
        rule: one of `RULES`; without `rng` a key of `FIXED_RULES`.
        number: wanted frames.
        rng: source of draws.

    Returns:
        int64 [n], strictly increasing ids in 0 .. frame_count - 1, 1 <= n <= `number`; all of a shorter video, except
        that "headtail" leaves out one of an odd number.

    Raises:
        InputError: the rule is unknown, or a number is not positive.
    """
    known = tuple(FIXED_RULES) if rng is None else RULES
    if not isinstance(rule, str) or rule not in known:
        raise InputError(f"unknown frame rule {quoted(rule)}; choose one of {', '.join(known)}")
    if frame_count < 1 or number < 1:
        raise InputError(f"{number} of {frame_count} frames cannot be chosen; both numbers must be at least 1")
    number = min(number, frame_count)
    if rng is None or rule in FIXED_RULES:
        return FIXED_RULES[rule](frame_count, number)
    return _DRAWING_RULES[rule](frame_count, number, rng)


def fill_up(frame_ids: np.ndarray, number: int) -> np.ndarray:
    """`number` frames: those given, int64 [n], and the last one as often as it takes."""
    return np.pad(frame_ids, (0, max(0, number - len(frame_ids))), mode="edge")


def _uniform(frame_count: int, number: int) -> np.ndarray:
    """The first of each of equal ranges."""
    return np.arange(number) * frame_count // number


def _middle(frame_count: int, number: int) -> np.ndarray:
    """The middle of each of equal ranges."""
    edges = _edges(frame_count, number)
    return (edges[:-1] + edges[1:] - 1) // 2


def _rand(frame_count: int, number: int, rng: np.random.Generator) -> np.ndarray:
    """One of each of equal ranges, but never its last; any, where a range has a single one."""
    edges = _edges(frame_count, number)
    if np.diff(edges).min() < 2:
        return _some(0, frame_count, number, rng)
    return rng.integers(edges[:-1], edges[1:] - 1)


def _headtail(frame_count: int, number: int, rng: np.random.Generator) -> np.ndarray:
    """As many of the first half as of the second; the only one of a video of one frame, which the release refuses."""
    middle, half = frame_count // 2, number // 2
    if not half:
        return _some(0, frame_count, 1, rng)
    return np.concatenate([_some(0, middle, half, rng), _some(middle, frame_count, half, rng)])


def _edges(frame_count: int, number: int) -> np.ndarray:
    return np.linspace(0, frame_count, number + 1).astype(np.int64)


def _some(first: int, end: int, number: int, rng: np.random.Generator) -> np.ndarray:
    return first + np.sort(rng.choice(end - first, number, replace=False))


# By the names in configurations: rules that draw nothing, as evaluations need them, and others.
FIXED_RULES: dict[str, Callable[[int, int], np.ndarray]] = {"uniform": _uniform, "middle": _middle}
_DRAWING_RULES: dict[str, Callable[[int, int, np.random.Generator], np.ndarray]] = {
    "rand": _rand,
    "headtail": _headtail,
}
RULES = (*FIXED_RULES, *_DRAWING_RULES)
