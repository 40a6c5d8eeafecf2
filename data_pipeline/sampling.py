"""Which frames of a clip the model looks at, by the rules of the data sets that it was trained on."""

from __future__ import annotations

import numpy as np

from stvg_jax.core.errors import InputError

RULES = ("hcstvg", "vidstg")
# HC-STVG clips are treated as this long whatever their real length (TA-STVG, datasets/data_utils.py).
HCSTVG_CLIP_SEC = 20
_PASSES = 2


def evaluation_frame_ids(
    frame_count: int, rule: str, first: int = 0, *, frames_per_pass: int = 64, sample_fps: float = 3.2
) -> np.ndarray:
    """The frames of a clip that evaluation looks at, for both interleaved passes together.

    "hcstvg": the clip counts as 20 seconds long and is sampled at twice `sample_fps`. The candidates are all frames but
    the last one; the last candidate is always among the samples (so there are up to 129 at the default rate). A clip of
    one or two frames gives its first frame.

    "vidstg": all frames are candidates; 2 * `frames_per_pass` evenly spaced ones are taken, or all if there are fewer.

    Args:
        frame_count: number of frames in the clip.
        rule: "hcstvg" or "vidstg".
        first: id of the clip's first frame; it is added to the result and has no other influence.
        frames_per_pass: of "vidstg", how many frames one pass holds.
        sample_fps: of "hcstvg", frames per (assumed) second in one pass.

    Returns:
        int64 [n], strictly increasing ids in first .. first + frame_count - 1, n >= 1.

    Raises:
        InputError: unknown rule, an empty clip, a negative `first`, or a rate or number that is not positive.
    """
    _check(frame_count, rule, first, frames_per_pass, sample_fps)
    if rule == "hcstvg":
        return first + _at_rate(frame_count, _PASSES * sample_fps)
    return first + _evenly(frame_count, _PASSES * frames_per_pass)


def interleave(ids: np.ndarray, passes: int = _PASSES) -> tuple[np.ndarray, ...]:
    """Splits sampled frames into passes: the i-th gets every `passes`-th frame from the i-th on.

    A pass that would be empty gets the first frame.

    Args:
        ids: [n], n >= 1.
        passes: how many.
    """
    ids = np.asarray(ids)
    return tuple(ids[i::passes] if i < len(ids) else ids[:1] for i in range(passes))


def training_frame_ids(
    frame_count: int,
    rule: str,
    first: int = 0,
    *,
    tube: tuple[int, int],
    rng: np.random.Generator,
    crop_probability: float = 0.5,
    frames_per_pass: int = 64,
    sample_fps: float = 3.2,
) -> np.ndarray:
    """Frames of a clip for one step of training, by the reference's rule (TA-STVG, datasets/data_utils.py).

    With `crop_probability` the clip is first cut to a random part that holds the tube: it begins at any frame before
    the tube and ends at any frame after it (at the tube itself only where there is no such frame).

    "hcstvg": frames at `sample_fps` and the last candidate, as in evaluation (up to 65); the crop takes a part of them.

    "vidstg": the crop takes a part of all frames; of these, `frames_per_pass` evenly spaced ones, or all if fewer.

    Where no sampled frame lies in the tube, the one next to it moves to the tube's middle: there would be nothing to
    learn otherwise (the reference fails on such a clip).

    Args:
        frame_count, rule, first, frames_per_pass, sample_fps: as for `evaluation_frame_ids`.
        tube: (first, end) ids of the described event, ends one past the last; some of it lies in the clip.
        rng: where the draws come from; three at most.

    Returns:
        int64 [n], strictly increasing ids in first .. first + frame_count - 1, at least one of them in the tube.

    Raises:
        InputError: as `evaluation_frame_ids`; a tube outside the clip.
    """
    ids = candidate_frame_ids(
        frame_count, rule, first, tube=tube, crop=True, frames_per_pass=frames_per_pass, sample_fps=sample_fps
    )
    if rng.random() < crop_probability:
        ids = _crop_around(ids, tube, rng)
    if rule == "vidstg":
        ids = _with_tube(ids[_evenly(len(ids), frames_per_pass)], tube, first + frame_count)
    return ids


def cut_window(ids: np.ndarray, tube: tuple[int, int], length: int, rng: np.random.Generator) -> np.ndarray:
    """At most `length` consecutive ones of a training clip's frames, at a random place that shows some of the tube.

    Args:
        ids: of `training_frame_ids`.
        tube: as for it.
        length: at least 1; 1 makes a picture of the clip.
        rng: where the draw comes from; one if the clip is longer, else none.
    """
    if len(ids) <= length:
        return ids
    inside = np.flatnonzero(_within(ids, tube))
    start = rng.integers(max(0, inside[0] - length + 1), min(inside[-1], len(ids) - length) + 1)
    return ids[start : start + length]


def candidate_frame_ids(
    frame_count: int,
    rule: str,
    first: int = 0,
    *,
    tube: tuple[int, int],
    crop: bool,
    frames_per_pass: int = 64,
    sample_fps: float = 3.2,
) -> np.ndarray:
    """Every frame that `training_frame_ids` may choose, whatever it draws: int64 [n], strictly increasing.

    Args:
        crop: whether `crop_probability` is above 0. A cropped "vidstg" clip may ask for any frame.

    Raises:
        InputError: as `training_frame_ids`.
    """
    _check(frame_count, rule, first, frames_per_pass, sample_fps)
    end = first + frame_count
    if not max(tube[0], first) < min(tube[1], end):
        raise InputError(f"the tube, frames {tube[0]}:{tube[1]}, lies outside its clip, frames {first}:{end}")
    if rule == "hcstvg":
        return _with_tube(first + _at_rate(frame_count, sample_fps), tube, end)
    if crop:
        return np.arange(first, end, dtype=np.int64)
    return _with_tube(first + _evenly(frame_count, frames_per_pass), tube, end)


def _check(frame_count: int, rule: str, first: int, frames_per_pass: int, sample_fps: float) -> None:
    if rule not in RULES:
        raise InputError(f"unknown sampling rule {rule!r}; choose one of {', '.join(RULES)}")
    if frame_count < 1 or first < 0:
        raise InputError(
            f"a clip of {frame_count} frames from frame {first} cannot be sampled; it needs one frame from 0 on"
        )
    if frames_per_pass < 1 or not sample_fps > 0:
        raise InputError(
            f"frames_per_pass={frames_per_pass}, sample_fps={sample_fps}: both must be positive (64 and 3.2 by default)"
        )


def _crop_around(ids: np.ndarray, tube: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A random run of `ids` that holds all of those in the tube."""
    before = int(np.searchsorted(ids, tube[0]))
    after = int(np.searchsorted(ids, tube[1]))
    start = int(rng.integers(before)) if before else 0
    last = int(rng.integers(after, len(ids))) if after < len(ids) else len(ids) - 1
    return ids[start : last + 1]


def _within(ids: np.ndarray, tube: tuple[int, int]) -> np.ndarray:
    """bool [n]: which of `ids` lie in the tube."""
    return (ids >= tube[0]) & (ids < tube[1])


def _with_tube(ids: np.ndarray, tube: tuple[int, int], end: int) -> np.ndarray:
    """`ids`, with the nearest one moved into the tube if none is there. `end` is one past the clip's last frame."""
    if _within(ids, tube).any():
        return ids
    middle = (max(tube[0], int(ids[0])) + min(tube[1], end) - 1) // 2
    moved = ids.copy()
    moved[np.argmin(np.abs(ids - middle))] = middle
    return moved


def _at_rate(frame_count: int, fps: float) -> np.ndarray:
    # The same operations in the same order as the reference: the products decide, to the last bit, where a step falls.
    rate = fps / (frame_count / HCSTVG_CLIP_SEC)
    candidates = np.arange(max(frame_count - 1, 1), dtype=np.int64)
    steps = (candidates * rate).astype(np.int64)
    chosen = np.diff(steps, prepend=-1) > 0
    chosen[-1] = True
    return candidates[chosen]


def _evenly(frame_count: int, number: int) -> np.ndarray:
    if frame_count <= number:
        return np.arange(frame_count, dtype=np.int64)
    return np.linspace(0, frame_count - 1, num=number).astype(np.int64)
