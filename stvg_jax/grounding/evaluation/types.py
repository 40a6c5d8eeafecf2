"""Tubes to compare: a predicted one, and the true one in the annotations."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np

from stvg_jax.grounding.tubes import fill_boxes


class AnnotatedTube(Protocol):
    """The annotated answer to a sentence.

    Attributes:
        tube: (start, end) frames, counted from 0 over the whole video.
        boxes_xyxy: float [frames of the tube, 4], in pixels.
    """

    @property
    def tube(self) -> tuple[int, int]: ...
    @property
    def boxes_xyxy(self) -> np.ndarray: ...


class AnnotatedSample(AnnotatedTube, Protocol):
    """An annotated sentence, such as `data_pipeline.annotations.Sample`, which documents the fields."""

    @property
    def id(self) -> str: ...
    @property
    def video(self) -> str: ...
    @property
    def sentence(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """A predicted tube.

    Attributes:
        interval: (start, end) frames.
        frames: int64 [m], frames with a box, ascending; they may lie outside the interval.
        boxes_xyxy: float [m, 4], (x1, y1, x2, y2) in pixels.
    """

    interval: tuple[int, int]
    frames: np.ndarray
    boxes_xyxy: np.ndarray

    @classmethod
    def at_frames(
        cls, interval: tuple[int, int], every: np.ndarray, boxes_xyxy: np.ndarray, frames: np.ndarray
    ) -> Prediction:
        """A merged answer, with the boxes of some frames only.

        Args:
            interval, every, boxes_xyxy: results of `stvg_jax.grounding.protocol.Protocol.merge`.
            frames: int64 [n], the sampled frames, in any order, possibly with repetitions.
        """
        sampled = np.unique(frames)
        return cls(interval, sampled, boxes_xyxy[sampled - every[0]])

    def filled(self) -> Prediction:
        """The prediction with a box in every frame from the first to the last one, interpolated linearly in float64, as
        the released evaluators do."""
        if not len(self.frames):
            return self
        return Prediction(self.interval, *fill_boxes(self.frames, self.boxes_xyxy))
