"""One record type for the annotations of every dataset, and the result of reading a file of them."""

from __future__ import annotations

import dataclasses
from typing import Generic, TypeVar

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations.problems import Problem

KINDS = ("declarative", "interrogative")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class VideoText:
    """A text about a video.

    Frames count from 0 over the whole video, and ends are one past the last frame.

    Attributes:
        id: unique within a split; what predictions are filed under. The number that the released systems give the same
            entry (HC-STVG: its position in the file; VidSTG: its position over captions and questions).
        video: path of the video file relative to the dataset's video folder, with "/" and its suffix.
        sentence: cleaned by the dataset's rules (HC-STVG, one's own data: as in the file; VidSTG: words in lower case).
        clip: (first, end) frames that belong to this sample; what is sampled lies within
            (`data_pipeline.frame_rules`). None for a whole video of which the annotations do not say how long it is.
    """

    id: str
    video: str
    sentence: str
    clip: tuple[int, int] | None = None

    @property
    def frame_size(self) -> tuple[int, int] | None:
        """(width, height) in pixels, by the annotation; None where it does not say."""
        return None

    @property
    def event(self) -> tuple[int, int] | None:
        """(first, end) frames of the described event; None where the text is about all of the clip."""
        return None


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Sample(VideoText):
    """A sentence about a video, with the tube that it means.

    Attributes:
        subject: words that name the target, from the file or found in the sentence.
        kind: "declarative" or "interrogative"; HC-STVG has declarative sentences only.
        category: class of the target in the file, "person" in HC-STVG.
        width, height: pixels of a frame, by the annotation.
        tube: (first, end) frames of the described event. It ends within the clip, but may begin before it in VidSTG, as
            in the released systems.
        boxes_xyxy: float64 [tube frames, 4], (x1, y1, x2, y2) in pixels; read-only, as samples that mean the same tube
            share it.
        appearance_labels, motion_labels: ascending indices into the attribute vocabularies; None where the file has
            none and none were made.
    """

    clip: tuple[int, int] = dataclasses.field()
    subject: str
    kind: str
    category: str
    width: int
    height: int
    tube: tuple[int, int]
    boxes_xyxy: np.ndarray
    appearance_labels: tuple[int, ...] | None = None
    motion_labels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        self.boxes_xyxy.setflags(write=False)

    @property
    def frame_size(self) -> tuple[int, int]:
        return self.width, self.height

    @property
    def event(self) -> tuple[int, int]:
        return self.tube


AnySample = TypeVar("AnySample", bound=VideoText)


@dataclasses.dataclass(frozen=True)
class Excluded:
    """An entry that was left out, by the dataset's own rules or because something is wrong with it.

    Attributes:
        id: the id that its sample would have.
        entry: where it stands in the file.
        reason: in words.
    """

    id: str
    entry: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Vocabularies:
    """The attribute words that the labels of samples are indices into."""

    appearance: tuple[str, ...]
    motion: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Annotations(Generic[AnySample]):
    """One split of a dataset.

    Attributes:
        dataset: its name.
        split: such as "train".
        samples: in the order of the file.
        excluded: what the file holds besides.
        problems: what is wrong with the entries of the file; empty unless they were to be excluded or kept.
        vocabularies: None where the labels have no known words (the released files) or there are none.
    """

    dataset: str
    split: str
    samples: list[AnySample]
    excluded: list[Excluded]
    problems: list[Problem]
    vocabularies: Vocabularies | None = None


def require_tubes(annotations: Annotations) -> None:
    """Raises an InputError for annotations of whole videos, which say nothing about where and when."""
    if not all(isinstance(sample, Sample) for sample in annotations.samples):
        raise InputError(
            f"the dataset {annotations.dataset} has texts about videos and no tubes; take one that has tubes, such as "
            "hcstvg"
        )
