"""The record type for the annotations of all datasets, and the annotations of a split."""

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
        id: name of its predictions, unique within a split. The number that the released systems give the same entry
            (HC-STVG: its position in the file; VidSTG: its position over captions and questions).
        video: path of the video file relative to the dataset's video folder, with "/" and its suffix.
        sentence: cleaned by the dataset's rules (VidSTG: words in lower case; other datasets: as in the file).
        clip: (first, end) frames of the sample, among which frames are sampled (`data_pipeline.frame_rules`). None for
            a whole video whose length is not in the annotations.
    """

    id: str
    video: str
    sentence: str
    clip: tuple[int, int] | None = None

    @property
    def frame_size(self) -> tuple[int, int] | None:
        """(width, height) in pixels according to the annotation; None if it does not say."""
        return None

    @property
    def event(self) -> tuple[int, int] | None:
        """(first, end) frames of the described event; None if the text is about the whole clip."""
        return None


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Sample(VideoText):
    """A sentence about a video, with its tube.

    Attributes:
        subject: words that name the target, from the file or found in the sentence.
        kind: "declarative" or "interrogative"; HC-STVG has declarative sentences only.
        category: class of the target in the file, "person" in HC-STVG.
        width, height: pixels of a frame, according to the annotation.
        tube: (first, end) frames of the described event. It ends within the clip, but in VidSTG it may begin before it,
            as in the released systems.
        boxes_xyxy: float64 [tube frames, 4], (x1, y1, x2, y2) in pixels; read-only, because samples with the same tube
            share it.
        appearance_labels, motion_labels: ascending indices into the attribute vocabularies; None without labels.
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


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Caption(VideoText):
    """A text about a whole video, perhaps one of several. It may have no word that a model reads.

    Attributes:
        entry: number of its video among those of the split, from 0 on. A video that is listed twice has two numbers.
    """

    entry: int


AnySample = TypeVar("AnySample", bound=VideoText)


@dataclasses.dataclass(frozen=True)
class Excluded:
    """An entry that was left out, by the rules of the dataset or because it is wrong.

    Attributes:
        id: id that its sample would have.
        entry: its name in the file.
        reason: a clause, for messages.
    """

    id: str
    entry: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Vocabularies:
    """The attribute words, into which the labels of samples are indices."""

    appearance: tuple[str, ...]
    motion: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Annotations(Generic[AnySample]):
    """One split of a dataset.

    Attributes:
        dataset: name of the dataset.
        split: such as "train".
        samples: samples in the order of the file.
        excluded: entries that were left out.
        problems: problems of the entries; empty unless `on_problem` is "exclude" or "keep".
        vocabularies: attribute words; None if they are unknown (the released files) or there are no labels.
    """

    dataset: str
    split: str
    samples: list[AnySample]
    excluded: list[Excluded]
    problems: list[Problem]
    vocabularies: Vocabularies | None = None


def require_captions(annotations: Annotations) -> None:
    """Raises an InputError for annotations that are not lists of captions."""
    if not all(isinstance(sample, Caption) for sample in annotations.samples):
        raise InputError(
            f"the dataset {annotations.dataset} has no captions of whole videos; take one that has them, such as msrvtt"
        )


def require_tubes(annotations: Annotations) -> None:
    """Raises an InputError for annotations of whole videos, which have no tubes."""
    if not all(isinstance(sample, Sample) for sample in annotations.samples):
        raise InputError(
            f"the dataset {annotations.dataset} has texts about videos and no tubes; take one that has tubes, such as "
            "hcstvg"
        )
