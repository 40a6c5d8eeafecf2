"""What a model says of the interleaved passes over a clip, put together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stvg_jax.grounding.inference.tube import FrameScores
from stvg_jax.grounding.tubes import PassPrediction, log_softmax


def read_passes(
    frame_ids: Sequence[np.ndarray],
    boxes_cxcywh: np.ndarray,
    start_end_logits: np.ndarray,
    actioness_logits: np.ndarray,
    sampling_score: np.ndarray | None,
) -> tuple[list[PassPrediction], FrameScores]:
    """The predictions of each pass, and the scores of all sampled frames in time order.

    Args:
        frame_ids: of each pass p, int64 [n], the frames that it looks at.
        boxes_cxcywh: [p, t, 4] in [0, 1], with n <= t; the rest is padding. So it is with
        start_end_logits: [p, t, 2];
        actioness_logits: [p, t];
        sampling_score: [p, t], or None for a model that does not sample frames.
    """
    passes, columns = [], []
    for i, ids in enumerate(frame_ids):
        n = len(ids)
        passes.append(PassPrediction(ids, boxes_cxcywh[i, :n], start_end_logits[i, :n]))
        probabilities = np.exp(log_softmax(start_end_logits[i, :n]))
        sampling = np.ones(n, np.float32) if sampling_score is None else sampling_score[i, :n]
        actioness = 1 / (1 + np.exp(-actioness_logits[i, :n]))
        columns.append((ids, sampling, actioness, probabilities[:, 0], probabilities[:, 1], np.full(n, i)))
    joined = [np.concatenate(column) for column in zip(*columns, strict=True)]
    order = np.argsort(joined[0], kind="stable")
    return passes, FrameScores(*(column[order] for column in joined))
