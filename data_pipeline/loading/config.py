"""Settings of the loader, and the few shapes to which batches are padded."""

from __future__ import annotations

import bisect
import dataclasses
import os

from stvg_jax.core.constants import TEXT_LENGTHS
from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.frame_rules import get_frame_rule
from stvg_jax.data_pipeline.size_rules import SQUEEZED, get_size_rule


@dataclasses.dataclass(frozen=True)
class LoaderSettings:
    """The part of `LoaderConfig` that a user sets: section `loader` of an experiment.

    Attributes:
        width_multiple: rows and columns of a batch are padded to a multiple of this, so that few programs are compiled,
            but not beyond the size rule's largest picture. 28 is one window of the video backbone's first stage, and
            at resolution 420 most videos are 560 or 588 wide.
        text_lengths: tokens of a batch are padded to one of these, ascending.
        temporal_crop: probability of a temporal crop around the tube.
        window: frames of a training clip that are shown, consecutive and at a random place with some of the tube; 0
            for all. 1 trains on single pictures, which shows many more sentences in the same time.
        flip: probability of a horizontal flip of pictures, boxes, and "left" and "right" in the sentence.
        scales: resolutions, one of which is drawn for each clip; () for the resolution of the model.
        size_crop: probability of cutting out a random part of the picture.
        crop_scales: heights or, where pictures keep their proportions, shorter sides, to one of which a picture is
            enlarged or reduced before a part is cut out; () for 400, 500 and 600 at a resolution of 420, as the release
            of TA-STVG is configured.
        crop_sides: (least, most) pixels of the sides of a part; () for 384 and 600, likewise.
        crop_tries: parts that are drawn, until one has some of each box; if none has, the whole picture is shown.
        reference: augment clips as the released training really does. One thing differs: the sentence of a flipped
            clip stays as it is (`__getitem__` in datasets/hcstvg.py and vidstg.py of TA-STVG and CG-STVG returns the
            one from before the transforms). Released training is also configured to resize to (420, 388, 356, 324)
            rows and to cut every other clip, and never does (datasets/transforms.py: `RandomSelect` always takes its
            first choice, `RandomResize` keeps the size): the defaults leave this out, and with `reference` it is
            refused. Temporal crop, sampled frames, sizes and flipped boxes are the same.
        threads: threads that read and decode; 0 for one per core.
        prefetch: batches made in advance.

    Raises:
        InputError: a value out of its range.
    """

    width_multiple: int = 28
    text_lengths: tuple[int, ...] = TEXT_LENGTHS
    temporal_crop: float = 0.5
    window: int = 0
    flip: float = 0.7
    scales: tuple[int, ...] = ()
    size_crop: float = 0.0
    crop_scales: tuple[int, ...] = ()
    crop_sides: tuple[int, ...] = ()
    crop_tries: int = 50
    reference: bool = False
    threads: int = 0
    prefetch: int = 1

    def __post_init__(self) -> None:
        self._check_signs(positive=("width_multiple", "crop_tries"), not_negative=("window", "threads", "prefetch"))
        for name in ("temporal_crop", "flip", "size_crop"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}={getattr(self, name)} is a probability; it must lie between 0 and 1")
        scales, sides = self.crop_scales, self.crop_sides
        right = len(sides) == 2 and 1 <= sides[0] <= sides[1] and min(scales, default=0) >= sides[0]
        if (scales or sides) and not right:
            raise InputError(
                f"crop_scales={scales}, crop_sides={sides}: give both, or () for both; sides of a part are from least "
                "to most pixels, and no scale is below the least"
            )
        lengths = self.text_lengths
        if not lengths or lengths[0] < 1 or any(a >= b for a, b in zip(lengths, lengths[1:], strict=False)):
            raise InputError(f"text_lengths={lengths} must be positive and ascending")
        if self.reference and (self.scales or self.size_crop):
            raise InputError(
                f"scales={self.scales}, size_crop={self.size_crop} with reference=True: the released training never "
                "resizes or cuts; leave them at () and 0, or set reference=False"
            )

    def _check_signs(self, *, positive: tuple[str, ...] = (), not_negative: tuple[str, ...] = ()) -> None:
        for name in positive:
            if not getattr(self, name) > 0:
                raise InputError(f"{name}={getattr(self, name)} must be positive")
        for name in not_negative:
            if getattr(self, name) < 0:
                raise InputError(f"{name}={getattr(self, name)} must not be negative")

    @property
    def thread_count(self) -> int:
        return self.threads or os.cpu_count() or 1


@dataclasses.dataclass(frozen=True)
class LoaderConfig(LoaderSettings):
    """Settings of a `Loader`: those of the user, and what the model asks for.

    The defaults are those of the released HC-STVG models; evaluation augments nothing.

    Attributes:
        sampling: name of a frame rule (`frame_rules.FRAME_RULES`) and of a text rule (`text.TEXT_RULES`).
        sample_fps: frames per second of a training clip, and of each pass of evaluation, for a rule of fixed rate.
        frames_per_pass: frames of these, for a rule that spaces frames evenly.
        resolution: of the model (`data_pipeline.frames.model_size`).
        sizing: name of a size rule (`data_pipeline.size_rules.SIZE_RULES`).
        frames_at_once: frames of a row of an evaluation, for some protocols (`stvg_jax.core.passes`).
        reads_subject: whether texts begin with the words that name the target.
        appearance_words, motion_words: sizes of the attribute vocabularies.
        reads_tube: whether the model is told the true tube in evaluation too.
    """

    sampling: str = "hcstvg"
    sample_fps: float = 3.2
    frames_per_pass: int = 64
    resolution: int = 420
    sizing: str = SQUEEZED
    frames_at_once: int = 0
    reads_subject: bool = True
    appearance_words: int = 0
    motion_words: int = 0
    reads_tube: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        get_frame_rule(self.sampling)
        get_size_rule(self.sizing)
        self._check_signs(
            positive=("sample_fps", "frames_per_pass", "resolution"),
            not_negative=("frames_at_once", "appearance_words", "motion_words"),
        )
        if any(not 1 <= scale <= self.resolution for scale in self.scales):
            raise InputError(f"scales={self.scales} must lie between 1 and the resolution, {self.resolution}")


def bucket_size(size: tuple[int, int], config: LoaderConfig) -> tuple[int, int]:
    """(rows, columns) to which a picture of this size (by `model_size`) is padded."""
    multiple, largest = config.width_multiple, get_size_rule(config.sizing).largest(config.resolution)
    rows, columns = (
        max(side, min(-(-side // multiple) * multiple, most)) for side, most in zip(size, largest, strict=True)
    )
    return rows, columns


def text_bucket(length: int, config: LoaderConfig) -> int:
    """Tokens to which a text of this length, at most the last of `text_lengths`, is padded."""
    return config.text_lengths[bisect.bisect_left(config.text_lengths, length)]
