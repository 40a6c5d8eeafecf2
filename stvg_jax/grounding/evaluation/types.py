"""What is compared: a predicted tube and a true one."""

from __future__ import annotations

import dataclasses
from typing import Protocol

import numpy as np

from stvg_jax.grounding.tubes import fill_boxes


class TrueTube(Protocol):
    """The answer to one sentence.

    Frames count from 0 over the whole video; the end of `tube` is one past its last frame. `boxes_xyxy` is
    float [tube frames, 4] in pixels.
    """

    @property
    def tube(self) -> tuple[int, int]: ...
    @property
    def boxes_xyxy(self) -> np.ndarray: ...


class Truth(TrueTube, Protocol):
    """What the annotations say of one sentence; `data_pipeline.annotations.Sample` is one, and documents the fields."""

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
        interval: (first, one past the last) frame.
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
        """A merged answer (`stvg_jax.grounding.protocol.Protocol.merge`), of which the boxes of `frames` are kept.

        Args:
            interval, every, boxes_xyxy: the merged answer.
            frames: int64 [n], the sampled ones, in any order, some of them perhaps twice.
        """
        sampled = np.unique(frames)
        return cls(interval, sampled, boxes_xyxy[sampled - every[0]])

    def filled(self) -> Prediction:
        """With boxes interpolated linearly in every frame between the first and the last one, float64, as the
        released systems do before they measure.
        """
        if not len(self.frames):
            return self
        return Prediction(self.interval, *fill_boxes(self.frames, self.boxes_xyxy))
