"""Evaluation protocol of TubeDETR (released: `models/postprocessors.py`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stvg_jax.core import passes
from stvg_jax.core.boxes import cxcywh_to_xyxy
from stvg_jax.grounding.tubes import PassPrediction, best_interval, fill_boxes


class SinglePass(passes.InterleavedPasses):
    """One pass over all sampled frames. Boxes are not clipped, and are interpolated linearly between sampled frames,
    which the released evaluation leaves out."""

    def __init__(self) -> None:
        super().__init__(1)

    def merge(
        self, predictions: Sequence[PassPrediction], height: int, width: int
    ) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
        """See `stvg_jax.grounding.protocol.Protocol`."""
        (prediction,) = predictions
        # Of equal intervals the released code takes the first end, and `best_interval` the first start. These are the
        # same: of two nested intervals with the best score, those that swap their ends have it too.
        first, last = best_interval(prediction.start_end_logits)
        boxes = cxcywh_to_xyxy(prediction.boxes_cxcywh) * np.array([width, height, width, height], np.float32)
        every, filled = fill_boxes(prediction.frames, boxes)
        interval = (int(prediction.frames[first]), int(prediction.frames[last]) + 1)
        return interval, every, filled.astype(np.float32)


SINGLE_PASS = SinglePass()
