"""Evaluation protocols: how the sampled frames of a clip become rows of a batch, and their answers one tube."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol as Interface

import numpy as np

from stvg_jax.core import passes
from stvg_jax.core.boxes import cxcywh_to_xyxy
from stvg_jax.grounding.tubes import PassPrediction, best_interval, fill_boxes, merge_passes


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


class SinglePass(passes.InterleavedPasses):
    """TubeDETR's one pass over all sampled frames. Boxes are not clipped, and are interpolated linearly between sampled
    frames, which the released evaluation leaves out."""

    def __init__(self) -> None:
        super().__init__(1)

    def merge(
        self, predictions: Sequence[PassPrediction], height: int, width: int
    ) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
        """See `Protocol.merge`."""
        (prediction,) = predictions
        # Of equal intervals the released code takes the first end, and `best_interval` the first start. These are the
        # same: of two nested intervals with the best score, those that swap their ends have it too.
        first, last = best_interval(prediction.start_end_logits)
        boxes = cxcywh_to_xyxy(prediction.boxes_cxcywh) * np.array([width, height, width, height], np.float32)
        every, filled = fill_boxes(prediction.frames, boxes)
        interval = (int(prediction.frames[first]), int(prediction.frames[last]) + 1)
        return interval, every, filled.astype(np.float32)


SINGLE_PASS = SinglePass()
