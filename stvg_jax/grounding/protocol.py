"""Evaluation protocols: how the sampled frames of a clip become rows of a batch, and their answers one tube."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Protocol as Interface

import numpy as np

from stvg_jax.core import passes
from stvg_jax.core.boxes import cxcywh_to_xyxy
from stvg_jax.core.errors import InputError
from stvg_jax.grounding.tubes import PassPrediction, best_interval, fill_boxes, merge_passes

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.clip import ClipConfig


class Protocol(Interface):
    """The evaluation protocol of a family.

    Attributes:
        passes: passes over a clip, by which the sampling rate is multiplied.
        rows: largest number of rows of a batch for each question about a clip.
        joined: whether the logits of all rows are one sequence.
    """

    @property
    def passes(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def joined(self) -> bool: ...

    def of(self, clip: ClipConfig) -> Protocol:
        """The protocol of a model with these settings of clips.

        Raises:
            InputError: the family has none.
        """
        ...

    def split(self, frame_ids: np.ndarray) -> tuple[np.ndarray, ...]:
        """Divides the sampled frames of a clip, int64 [n], n >= 1, among at most `rows` rows; none is empty, none
        longer than the first."""
        ...

    def merge(
        self, predictions: Sequence[PassPrediction], height: int, width: int
    ) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
        """Merges the predictions of all rows about a video of this size in pixels.

        Returns:
            (start, end) frames; consecutive frames from the first to the last sampled one, int64 [m]; their boxes
            (x1, y1, x2, y2) in pixels, float32 [m, 4].
        """
        ...


class InterleavedPasses(passes.InterleavedPasses):
    """Passes that take turns over the sampled frames (released: `engine/evaluate.py`).

    The answer runs from the earliest start to the latest end of all passes.
    """

    joined = False

    def of(self, clip: ClipConfig) -> Protocol:
        """See `Protocol.of`."""
        if clip.frames_at_once:
            raise InputError(
                f"clip.frames_at_once={clip.frames_at_once}: this model sees all frames of a pass at once; set it to 0"
            )
        return self

    def merge(
        self, predictions: Sequence[PassPrediction], height: int, width: int
    ) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
        return merge_passes(list(predictions), height, width)


# Of TA-STVG and CG-STVG.
TWO_PASSES = InterleavedPasses(passes.TWO)


class SinglePass(passes.ConsecutiveParts):
    """TubeDETR's one pass over all sampled frames. Boxes are not clipped, and are interpolated linearly between sampled
    frames, which the released evaluation leaves out.

    A model for fewer frames sees consecutive parts of them, each as a video of its own, and the logits of all parts
    together give the interval (released: `PostProcessSTVG`).
    """

    joined = True

    def of(self, clip: ClipConfig) -> SinglePass:
        """See `Protocol.of`."""
        if not clip.frames_at_once:
            return self
        from stvg_jax.data_pipeline.frame_rules import Amount, get_frame_rule

        amount = Amount(clip.frames_per_pass, clip.sample_fps)
        rows = -(-get_frame_rule(clip.sampling).most_frames(amount) // clip.frames_at_once)
        return SinglePass(clip.frames_at_once, rows)

    def merge(
        self, predictions: Sequence[PassPrediction], height: int, width: int
    ) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
        """See `Protocol.merge`."""
        frames, boxes_cxcywh, logits = (
            np.concatenate([getattr(prediction, field.name) for prediction in predictions])
            for field in dataclasses.fields(PassPrediction)
        )
        # Of equal intervals the released code takes the first end, and `best_interval` the first start. These are the
        # same: of two nested intervals with the best score, those that swap their ends have it too.
        first, last = best_interval(logits)
        boxes = cxcywh_to_xyxy(boxes_cxcywh) * np.array([width, height, width, height], np.float32)
        every, filled = fill_boxes(frames, boxes)
        interval = (int(frames[first]), int(frames[last]) + 1)
        return interval, every, filled.astype(np.float32)


SINGLE_PASS = SinglePass()
