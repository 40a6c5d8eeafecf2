"""From per-frame predictions to one tube, as the released evaluation does it. Plain numpy."""

from __future__ import annotations

import dataclasses

import numpy as np

from stvg_jax.core.boxes import cxcywh_to_xyxy


@dataclasses.dataclass(frozen=True)
class PassPrediction:
    """What one pass over every other sampled frame predicts.

    Attributes:
        frames: int64 [n], frame numbers, ascending.
        boxes_cxcywh: float32 [n, 4] in [0, 1].
        start_end_logits: float32 [n, 2].
    """

    frames: np.ndarray
    boxes_cxcywh: np.ndarray
    start_end_logits: np.ndarray


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Over the first axis, float32."""
    shifted = logits - logits.max(axis=0)
    return shifted - np.log(np.exp(shifted).sum(axis=0))


def best_interval(start_end_logits: np.ndarray) -> tuple[int, int]:
    """The most probable (first, last) position, first < last (reference: `models/post_processor.py`).

    Args:
        start_end_logits: float32 [n, 2].

    Returns:
        Positions in 0 .. n - 1; (0, 0) when n is 1.
    """
    n = len(start_end_logits)
    if n == 1:
        return 0, 0
    log_p = log_softmax(start_end_logits)
    joint = log_p[:, 0, None] + log_p[None, :, 1]
    joint[np.tril_indices(n)] = -np.inf
    first, last = np.unravel_index(np.argmax(joint), joint.shape)
    return int(first), int(last)


def merge_passes(
    passes: list[PassPrediction], height: int, width: int
) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
    """Unites the interleaved passes (reference: `engine/evaluate.py`).

    The interval runs from the earliest start to the latest end; boxes between sampled frames are interpolated
    linearly.

    Args:
        passes: of one video.
        height, width: of the video in pixels.

    Returns:
        (first frame, one past the last frame); int64 [m], consecutive frames from the first to the last sampled one;
        float32 [m, 4], boxes (x1, y1, x2, y2) in pixels, cut off at 0 but not at the far borders.
    """
    intervals = []
    for p in passes:
        first, last = best_interval(p.start_end_logits)
        intervals.append((int(p.frames[first]), int(p.frames[last]) + 1))
    frames = np.concatenate([p.frames for p in passes])
    boxes = cxcywh_to_xyxy(np.concatenate([p.boxes_cxcywh for p in passes]))
    boxes = np.maximum(boxes * np.array([width, height, width, height], np.float32), 0)
    # Later passes win where frames coincide.
    frames, last_index = np.unique(frames[::-1], return_index=True)
    boxes = boxes[::-1][last_index]
    every, filled = fill_boxes(frames, boxes)
    interval = (min(i[0] for i in intervals), max(i[1] for i in intervals))
    return interval, every, filled.astype(np.float32)


def fill_boxes(frames: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interpolates boxes linearly between frames (reference: `linear_interp` in `engine/evaluate.py`).

    Args:
        frames: int [n], ascending, n >= 1.
        boxes: float [n, 4].

    Returns:
        int64 [m], every frame from the first to the last; float64 [m, 4].
    """
    every = np.arange(frames[0], frames[-1] + 1)
    corners = np.asarray(boxes, np.float64).T
    return every, np.stack([np.interp(every, frames, values) for values in corners], axis=1)
