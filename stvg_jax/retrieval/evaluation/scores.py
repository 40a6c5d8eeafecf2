"""Scores of all videos and texts of an evaluation, and the ranks that follow from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from stvg_jax.retrieval.evaluation.metrics import TEXT_TO_VIDEO, VIDEO_TO_TEXT, best, ranks


def texts_to_compare(similarity: np.ndarray, number: int) -> list[np.ndarray]:
    """The texts with which each video is compared, ascending: its own best ones, and those that have it among their
    best videos. A comparison serves both directions.

    Args:
        similarity: [v, t].
        number: answers to each query that are compared.
    """
    wanted = best(similarity, number) | best(similarity.T, number).T
    return [np.flatnonzero(row) for row in wanted]


@dataclasses.dataclass(frozen=True)
class Scores:
    """Similarities, and the terms of re-ranking.

    Attributes:
        similarity: float32 [v, t].
        owners: int [t], the video that each text describes.
        terms: float32 [v, t], 0 where a pair was not compared; None without re-ranking.
        reranked: answers to each query that were compared.
    """

    similarity: np.ndarray
    owners: np.ndarray
    terms: np.ndarray | None = None
    reranked: int = 0

    @classmethod
    def of(
        cls,
        similarity: np.ndarray,
        owners: np.ndarray,
        compared: Sequence[tuple[Sequence[int], np.ndarray]],
        reranked: int,
    ) -> Scores:
        """Scores with re-ranking.

        Args:
            similarity, owners, reranked: as above.
            compared: texts of each video (`texts_to_compare`), and their terms, float32 [p].
        """
        terms = np.zeros_like(similarity)
        for row, (texts, values) in zip(terms, compared, strict=True):
            row[np.asarray(texts)] = values
        return cls(similarity, owners, terms, reranked)

    def ordered(self, direction: str) -> tuple[np.ndarray, np.ndarray]:
        """Scores of the answers to each query of a direction, and True for those that come before the others because
        they were re-ranked: float32 and bool [queries, answers]."""
        similarity, terms = (
            matrix if matrix is None or direction == VIDEO_TO_TEXT else matrix.T
            for matrix in (self.similarity, self.terms)
        )
        assert similarity is not None
        first = best(similarity, self.reranked)
        return similarity if terms is None else np.where(first, similarity + terms, similarity), first

    def ranks(self) -> dict[str, np.ndarray]:
        """Rank of the best right answer to each query, int64 [queries], by direction."""
        right = self.owners == np.arange(len(self.similarity))[:, None]
        by_direction = {TEXT_TO_VIDEO: right.T, VIDEO_TO_TEXT: right}
        found = {}
        for direction, answers in by_direction.items():
            scores, first = self.ordered(direction)
            found[direction] = ranks(scores, answers, first)
        return found

    def best_videos(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the best videos for each text, int [t, n], and their scores, float32 [t, n]."""
        scores, first = self.ordered(TEXT_TO_VIDEO)
        order = np.lexsort((-scores, ~first))[:, :number]
        return order, np.take_along_axis(scores, order, axis=1)
