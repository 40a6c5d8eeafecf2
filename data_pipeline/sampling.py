"""Which frames of a clip the model looks at, by the rules of the data sets that it was trained on."""

from __future__ import annotations

import numpy as np

from stvg_jax.errors import InputError

RULES = ("hcstvg", "vidstg")
# HC-STVG clips are treated as this long whatever their real length (TA-STVG, datasets/data_utils.py).
_HCSTVG_CLIP_SEC = 20
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
    if rule == "hcstvg":
        return first + _at_rate(frame_count, _PASSES * sample_fps)
    return first + _evenly(frame_count, _PASSES * frames_per_pass)


def interleave(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Splits sampled frames into the two passes of evaluation: those at even positions and those at odd ones.

    A single frame goes to both passes, so that neither is ever empty.

    Args:
        ids: [n], n >= 1.

    Returns:
        Two arrays, [ceil(n / 2)] and [floor(n / 2)], the second [1] when n is 1.
    """
    ids = np.asarray(ids)
    return ids[0::2], ids[1::2] if len(ids) > 1 else ids[0::2]


def _at_rate(frame_count: int, fps: float) -> np.ndarray:
    # The same operations in the same order as the reference: the products decide, to the last bit, where a step falls.
    rate = fps / (frame_count / _HCSTVG_CLIP_SEC)
    candidates = np.arange(max(frame_count - 1, 1), dtype=np.int64)
    steps = (candidates * rate).astype(np.int64)
    chosen = np.diff(steps, prepend=-1) > 0
    chosen[-1] = True
    return candidates[chosen]


def _evenly(frame_count: int, number: int) -> np.ndarray:
    if frame_count <= number:
        return np.arange(frame_count, dtype=np.int64)
    return np.linspace(0, frame_count - 1, num=number).astype(np.int64)
