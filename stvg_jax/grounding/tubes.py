"""From the outputs of a model for each pass to one tube, as in the released evaluation. Plain numpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from stvg_jax.core.boxes import cxcywh_to_xyxy
from stvg_jax.grounding.inference.tube import FrameScores


@dataclasses.dataclass(frozen=True)
class PassPrediction:
    """Predictions of one pass.

    Attributes:
        frames: int64 [n], frame numbers, ascending.
        boxes_cxcywh: float32 [n, 4] in [0, 1].
        start_end_logits: float32 [n, 2].
    """

    frames: np.ndarray
    boxes_cxcywh: np.ndarray
    start_end_logits: np.ndarray


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithm of the softmax over the first axis, float32."""
    shifted = logits - logits.max(axis=0)
    return shifted - np.log(np.exp(shifted).sum(axis=0))


def read_passes(
    frame_ids: Sequence[np.ndarray],
    boxes_cxcywh: np.ndarray,
    start_end_logits: np.ndarray,
    actioness_logits: np.ndarray,
    sampling_score: np.ndarray | None,
    *,
    joined: bool = False,
) -> tuple[list[PassPrediction], FrameScores]:
    """Predictions of each pass over a clip, and the scores of all sampled frames in order of time.

    The arrays of a pass have t >= n entries, of which those after the first n are padding.

    Args:
        frame_ids: frames of each pass p, int64 [n].
        boxes_cxcywh: [p, t, 4] in [0, 1].
        start_end_logits: [p, t, 2].
        actioness_logits: [p, t].
        sampling_score: [p, t]; None for a model without temporal sampling.
        joined: whether start and end are probable over all passes together, and not in each.
    """
    passes, columns = [], []
    lengths = [len(ids) for ids in frame_ids]
    logits_of = [start_end_logits[k, :n] for k, n in enumerate(lengths)]
    if joined:
        shares = np.exp(log_softmax(np.concatenate(logits_of)))
        probabilities_of = np.split(shares, np.cumsum(lengths)[:-1])
    else:
        probabilities_of = [np.exp(log_softmax(logits)) for logits in logits_of]
    for pass_index, ids in enumerate(frame_ids):
        n, probabilities = len(ids), probabilities_of[pass_index]
        passes.append(PassPrediction(ids, boxes_cxcywh[pass_index, :n], logits_of[pass_index]))
        sampling = np.ones(n, np.float32) if sampling_score is None else sampling_score[pass_index, :n]
        actioness = 1 / (1 + np.exp(-actioness_logits[pass_index, :n]))
        columns.append((ids, sampling, actioness, probabilities[:, 0], probabilities[:, 1], np.full(n, pass_index)))
    values = [np.concatenate(column) for column in zip(*columns, strict=True)]
    order = np.argsort(values[0], kind="stable")
    return passes, FrameScores(*(column[order] for column in values))


def best_interval(start_end_logits: np.ndarray) -> tuple[int, int]:
    """The most probable (first, last) position, first < last (released: `models/post_processor.py`).

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
    """Merges interleaved passes (released: `engine/evaluate.py`).

    The interval runs from the earliest start to the latest end. Boxes between sampled frames are interpolated linearly.

    Args:
        passes: of one video.
        height, width: of the video in pixels.

    Returns:
        (start, end) frames; consecutive frames from the first to the last sampled one, int64 [m]; their boxes
        (x1, y1, x2, y2) in pixels, float32 [m, 4], cut off at 0 but not at the far borders.
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
    """Interpolates boxes linearly between frames (released: `linear_interp` in `engine/evaluate.py`).

    Args:
        frames: int [n], ascending, n >= 1.
        boxes: float [n, 4].

    Returns:
        Every frame from the first to the last, int64 [m]; their boxes, float64 [m, 4].
    """
    every = np.arange(frames[0], frames[-1] + 1)
    corners = np.asarray(boxes, np.float64).T
    return every, np.stack([np.interp(every, frames, values) for values in corners], axis=1)
