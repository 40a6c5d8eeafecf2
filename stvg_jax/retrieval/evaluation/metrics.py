"""Ranks of the right answers to queries, and the measures of retrieval. Knows nothing of models.

Matrices have a row for each query and a column for each of its possible answers: [v, t] for texts that describe a
video, [t, v] for videos that a text describes.
"""

from __future__ import annotations

import numpy as np

TEXT_TO_VIDEO, VIDEO_TO_TEXT = DIRECTIONS = ("text to video", "video to text")
RECALLS = (1, 5, 10)


def best(similarity: np.ndarray, number: int) -> np.ndarray:
    """bool, True for the best `number` answers to each query, or for all if there are fewer.

    Of equal ones the first is better.
    """
    mask = np.zeros(similarity.shape, bool)
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :number]
    np.put_along_axis(mask, order, True, axis=1)
    return mask


def ranks(scores: np.ndarray, right: np.ndarray, first: np.ndarray | None = None) -> np.ndarray:
    """Rank of the best right answer to each query, int64 [queries], from 1 on.

    Every wrong answer that is as good as the right one counts before it, so that ties never flatter a model. (In the
    released code their order depends on the machine.)

    Args:
        scores: higher is better.
        right: bool, True for the right answers, of which each query has at least one.
        first: bool, True for answers that come before all others, whatever their scores: those that were re-ranked. The
            others follow by their own scores, where the released code gives all of them -100.
    """
    first = np.zeros(scores.shape, bool) if first is None else first
    found = (right & first).any(axis=1, keepdims=True)
    among = right & (first == found)
    score = np.where(among, scores, -np.inf).max(axis=1, keepdims=True)
    before = np.where(found, first & (scores >= score), first | (scores >= score))
    return 1 + (before & ~right).sum(axis=1)


def measures(query_ranks: np.ndarray) -> dict[str, float]:
    """R@1, R@5 and R@10, the shares of queries of at most this rank, and the median and the mean of the ranks."""
    recalls = {f"R@{k}": float(np.mean(query_ranks <= k)) for k in RECALLS}
    return recalls | {"MedR": float(np.median(query_ranks)), "MeanR": float(np.mean(query_ranks))}


def mean_recall(values: dict[str, float]) -> float:
    """Mean of R@1, R@5 and R@10. That of text to video decides the best checkpoint (released: `agg_metrics`)."""
    return float(np.mean([values[f"R@{k}"] for k in RECALLS]))
