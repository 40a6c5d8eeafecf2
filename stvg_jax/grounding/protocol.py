"""Evaluation protocols: how the sampled frames of a clip become rows of a batch, and their answers one tube."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol as Interface

import numpy as np

from stvg_jax.core import passes
from stvg_jax.grounding.tubes import PassPrediction, merge_passes


class Protocol(Interface):
    """The evaluation protocol of a family.

    Attributes:
        passes: rows of a batch for each question about a clip.
    """

    @property
    def passes(self) -> int: ...

    def split(self, frame_ids: np.ndarray) -> tuple[np.ndarray, ...]:
        """Divides the sampled frames of a clip, int64 [n], n >= 1, among the passes; none is empty, none longer than
        the first."""
        ...

    def merge(
        self, predictions: Sequence[PassPrediction], height: int, width: int
    ) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
        """Merges the predictions of all passes over a video of this size in pixels.

        Returns:
            (start, end) frames; consecutive frames from the first to the last sampled one, int64 [m]; their boxes
            (x1, y1, x2, y2) in pixels, float32 [m, 4].
        """
        ...


class InterleavedPasses(passes.InterleavedPasses):
    """Passes that take turns over the sampled frames (released: `engine/evaluate.py`).

    The answer runs from the earliest start to the latest end of all passes.
    """

    def merge(
        self, predictions: Sequence[PassPrediction], height: int, width: int
    ) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
        return merge_passes(list(predictions), height, width)


# Of TA-STVG and CG-STVG.
TWO_PASSES = InterleavedPasses(passes.TWO)
