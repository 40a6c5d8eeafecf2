"""From TubeDETR's predictions to one tube, as its released evaluation does it (`models/postprocessors.py`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stvg_jax.core import passes
from stvg_jax.core.boxes import cxcywh_to_xyxy
from stvg_jax.grounding.tubes import PassPrediction, best_interval, fill_boxes


class SinglePass(passes.InterleavedPasses):
    """One pass over all sampled frames.

    Boxes are not cut off at any border; between sampled frames, of which the released measures know nothing, they are
    interpolated linearly.
    """

    def __init__(self) -> None:
        super().__init__(1)

    def merge(
        self, predictions: Sequence[PassPrediction], height: int, width: int
    ) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
        """See `stvg_jax.grounding.protocol.Protocol`."""
        (prediction,) = predictions
        # Of equal intervals the released code takes the one that ends first, and this the one that starts first. They
        # are the same: where two equal ones are nested, the first start and the first end are as good.
        first, last = best_interval(prediction.start_end_logits)
        boxes = cxcywh_to_xyxy(prediction.boxes_cxcywh) * np.array([width, height, width, height], np.float32)
        every, filled = fill_boxes(prediction.frames, boxes)
        interval = (int(prediction.frames[first]), int(prediction.frames[last]) + 1)
        return interval, every, filled.astype(np.float32)


SINGLE_PASS = SinglePass()
