"""Settings of the loader, and the few shapes that batches are padded to."""

from __future__ import annotations

import bisect
import dataclasses
import os

from stvg_jax.core.constants import MAX_ASPECT, TEXT_LENGTHS
from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.frame_rules import FRAME_RULES


@dataclasses.dataclass(frozen=True)
class LoaderConfig:
    """Settings of a `Loader`. The defaults are those of the released HC-STVG models; evaluation augments nothing.

    Attributes:
        sampling: name of a frame rule (`frame_rules.FRAME_RULES`) and of a text rule (`text.TEXT_RULES`).
        sample_fps: frames per second of a training clip, and of each pass of evaluation, for a rule of fixed rate.
        frames_per_pass: the same as a number, for a rule that spaces frames evenly.
        resolution: rows of a frame (`data_pipeline.frames.model_size` gives the columns).
        width_multiple: columns of a batch are padded to a multiple of this, so that few programs are compiled. 28 is
            one window of the video backbone's first stage, and at resolution 420 most videos are 560 or 588 wide.
        text_lengths: tokens of a batch are padded to one of these, ascending.
        temporal_crop: probability of a temporal crop around the tube.
        window: in training, show at most so many consecutive ones of a clip's frames, at a random place with some of
            the tube; 0 for all. 1 trains on single pictures, which shows many more sentences in the same time.
        flip: probability of a horizontal flip of pictures, boxes, and "left" and "right" in the sentence.
        scales: rows of a frame, one of which is drawn for each clip; none means `resolution`.
        size_crop: probability of cutting out a random part of the picture.
        reference: whether clips are augmented as the released training really does it. That is another thing in one
            point: the sentence of a flipped clip stays as it is (`__getitem__` in datasets/hcstvg.py and vidstg.py of
            TA-STVG and CG-STVG returns the one from before the transforms). Released training is also configured to
            resize to (420, 388, 356, 324) rows and to cut every other clip, and never does (datasets/transforms.py:
            `RandomSelect` always takes its first choice, `RandomResize` keeps the size): the defaults leave this out,
            and with `reference` it is refused. Temporal crop, sampled frames, sizes and flipped boxes are the same.
        reads_subject: whether texts begin with the words that name the target.
        appearance_words, motion_words: sizes of the attribute vocabularies.
        threads: that read and decode; 0 for one per core.
        prefetch: batches made in advance.
    """

    sampling: str = "hcstvg"
    sample_fps: float = 3.2
    frames_per_pass: int = 64
    resolution: int = 420
    width_multiple: int = 28
    text_lengths: tuple[int, ...] = TEXT_LENGTHS
    temporal_crop: float = 0.5
    window: int = 0
    flip: float = 0.7
    scales: tuple[int, ...] = ()
    size_crop: float = 0.0
    reference: bool = False
    reads_subject: bool = True
    appearance_words: int = 0
    motion_words: int = 0
    threads: int = 0
    prefetch: int = 1

    def __post_init__(self) -> None:
        if self.sampling not in FRAME_RULES:
            raise InputError(f"unknown frame rule {self.sampling!r}; choose one of {', '.join(FRAME_RULES)}")
        for name in ("sample_fps", "frames_per_pass", "resolution", "width_multiple"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}={getattr(self, name)} must be positive")
        for name in ("window", "appearance_words", "motion_words", "threads", "prefetch"):
            if getattr(self, name) < 0:
                raise InputError(f"{name}={getattr(self, name)} must not be negative")
        for name in ("temporal_crop", "flip", "size_crop"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}={getattr(self, name)} is a probability; it must lie between 0 and 1")
        lengths = self.text_lengths
        if not lengths or lengths[0] < 1 or any(a >= b for a, b in zip(lengths, lengths[1:], strict=False)):
            raise InputError(f"text_lengths={lengths} must be positive and ascending")
        if any(not 1 <= scale <= self.resolution for scale in self.scales):
            raise InputError(f"scales={self.scales} must lie between 1 and the resolution, {self.resolution}")

        if self.reference and (self.scales or self.size_crop):
            raise InputError(
                f"scales={self.scales}, size_crop={self.size_crop} with reference=True: the released training never "
                "resizes or cuts; leave them at () and 0, or set reference=False"
            )

    @property
    def thread_count(self) -> int:
        return self.threads or os.cpu_count() or 1


def bucket_width(width: int, config: LoaderConfig) -> int:
    """Columns that a picture this wide (by `model_size`) is padded to."""
    widest = max(1, int(config.resolution * MAX_ASPECT))
    return min(-(-width // config.width_multiple) * config.width_multiple, widest)


def text_bucket(length: int, config: LoaderConfig) -> int:
    """Tokens that a text of this length, at most the last of `text_lengths`, is padded to."""
    return config.text_lengths[bisect.bisect_left(config.text_lengths, length)]
