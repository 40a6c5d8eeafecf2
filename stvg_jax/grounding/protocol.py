"""The passes of a model over the sampled frames of a clip: how frames become rows of a batch, and answers one tube."""

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

    passes: int

    def split(self, frame_ids: np.ndarray) -> tuple[np.ndarray, ...]:
        """The sampled frames int64 [n] of a clip, n >= 1 -> those of each pass, none empty."""
        ...

    def merge(
        self, predictions: Sequence[PassPrediction], height: int, width: int
    ) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
        """The passes' predictions as one, for a video of this size in pixels.

        Returns:
            (first frame, one past the last frame); int64 [m], consecutive frames from the first to the last sampled
            one; float32 [m, 4], boxes (x1, y1, x2, y2) in pixels.
        """
        ...


class InterleavedPasses(passes.InterleavedPasses):
    """Passes that take turns over the sampled frames, and whose union is the answer (reference: `engine/evaluate.py`).

    The interval runs from the earliest start to the latest end.
    """

    def merge(
        self, predictions: Sequence[PassPrediction], height: int, width: int
    ) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
        return merge_passes(list(predictions), height, width)


# TA-STVG's and CG-STVG's.
TWO_PASSES = InterleavedPasses(passes.TWO)
