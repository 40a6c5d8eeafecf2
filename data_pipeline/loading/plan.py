"""The plan of a row, made before its pixels are read: a pure function of (seed, epoch, sample)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from stvg_jax.data_pipeline.annotations import Sample
from stvg_jax.data_pipeline.frame_rules import (
    candidate_frame_ids,
    cut_window,
    evaluation_frame_ids,
    training_frame_ids,
)
from stvg_jax.data_pipeline.frames import model_size
from stvg_jax.data_pipeline.loading.config import LoaderConfig
from stvg_jax.data_pipeline.loading.geometry import View, training_view, whole_view
from stvg_jax.data_pipeline.loading.order import CLIP, NO_SAMPLE, generator
from stvg_jax.data_pipeline.shards import StoredVideo


class Passes(Protocol):
    """A way to divide the sampled frames of a clip among the rows of an evaluation, such as
    `stvg_jax.core.passes.InterleavedPasses`."""

    @property
    def passes(self) -> int:
        """Rows for each sample."""
        ...

    def split(self, frame_ids: np.ndarray) -> tuple[np.ndarray, ...]:
        """int64 [n], n >= 1 -> the frames of each pass; none is empty, none longer than the first."""
        ...


@dataclasses.dataclass(frozen=True)
class RowPlan:
    """The content of one row of a batch.

    Attributes:
        sample: index into the loader's samples; `order.NO_SAMPLE` for a row that fills up a batch.
        pass_index: of an evaluation; 0 in training.
        frame_ids: int64 [n], strictly increasing.
        view: how each frame is shown.
    """

    sample: int
    pass_index: int
    frame_ids: np.ndarray
    view: View


def most_frames(
    samples: Sequence[Sample], videos: Mapping[str, StoredVideo], config: LoaderConfig, passes: Passes | None
) -> int:
    """Frames of the longest row that any of these samples can make, with the passes of an evaluation or, with None, in
    training; 65 or 64 with the released rules unless all clips are shorter."""
    longest = (len(_longest_row(sample, videos[sample.video], config, passes)) for sample in samples)
    most = max(longest, default=0)
    return min(most, config.window) if passes is None and config.window else most


def _longest_row(sample: Sample, video: StoredVideo, config: LoaderConfig, passes: Passes | None) -> np.ndarray:
    if passes is None:
        clip = _clip_arguments(sample, video, config)
        return candidate_frame_ids(**clip, tube=sample.tube, crop=False)
    return passes.split(needed_frame_ids(sample, video, config, passes))[0]


def needed_frame_ids(sample: Sample, video: StoredVideo, config: LoaderConfig, passes: Passes | None) -> np.ndarray:
    """Every frame of its video that rows of this sample may show: int64 [n], strictly increasing.

    Args:
        passes: of an evaluation; None in training.

    Raises:
        InputError: as `data_pipeline.frame_rules`.
    """
    clip = _clip_arguments(sample, video, config)
    if passes is None:
        return candidate_frame_ids(**clip, tube=sample.tube, crop=config.temporal_crop > 0)
    return evaluation_frame_ids(**clip, passes=passes.passes)


def _clip_arguments(sample: Sample, video: StoredVideo, config: LoaderConfig) -> dict[str, Any]:
    """Arguments about a clip for the functions of `data_pipeline.frame_rules`."""
    first, end = sample.clip
    return {
        "frame_count": end - first,
        "rule": config.sampling,
        "first": first,
        "frames_per_pass": config.frames_per_pass,
        "sample_fps": config.sample_fps,
        "video_fps": video.fps,
    }


def training_plan(
    sample: Sample, video: StoredVideo, config: LoaderConfig, *, seed: int, epoch: int, index: int
) -> RowPlan:
    """Draws the frames and the view of a sample.

    Args:
        index: of the sample, which the draws depend on.
    """
    rng = generator(seed, epoch, CLIP, index)
    ids = training_frame_ids(
        **_clip_arguments(sample, video, config),
        tube=sample.tube,
        rng=rng,
        crop_probability=config.temporal_crop,
    )
    if config.window:
        ids = cut_window(ids, sample.tube, config.window, rng)
    boxes = tube_boxes(sample, ids)[1]
    original = video.height, video.width
    return RowPlan(index, 0, ids, training_view(stored_size(video), original, boxes, config, rng))


def evaluation_plan(
    sample: Sample, video: StoredVideo, config: LoaderConfig, passes: Passes, pass_index: int, *, index: int
) -> RowPlan:
    """One pass over a sample."""
    ids = passes.split(needed_frame_ids(sample, video, config, passes))[pass_index]
    view = whole_view(stored_size(video), model_size(video.height, video.width, config.resolution))
    return RowPlan(index, pass_index, ids, view)


def filling_plan(pass_index: int, size: tuple[int, int]) -> RowPlan:
    """One black frame of this size (height, width), where an evaluation has run out of samples."""
    return RowPlan(NO_SAMPLE, pass_index, np.zeros(1, np.int64), whole_view(size, size))


def stored_size(video: StoredVideo) -> tuple[int, int]:
    """(height, width) of a picture in the store."""
    return video.stored_height, video.stored_width


def tube_boxes(sample: Sample, frame_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A mask of these frames, bool [n], True in the tube, and the boxes of those: float64 [m, 4], xyxy in [0, 1]."""
    in_tube = (frame_ids >= sample.tube[0]) & (frame_ids < sample.tube[1])
    boxes = sample.boxes_xyxy[frame_ids[in_tube] - sample.tube[0]]
    return in_tube, boxes / [sample.width, sample.height, sample.width, sample.height]


def row_arrays(plan: RowPlan, text_ids: np.ndarray) -> dict[str, Any]:
    """Arrays of `GROUNDING_BATCH` that every row has besides its pictures, as `BatchSchema.pack` takes them."""
    return {"frame_ids": plan.frame_ids, "sizes": plan.view.size, "text_ids": text_ids, "sample": plan.sample}


def row_targets(plan: RowPlan, sample: Sample, config: LoaderConfig) -> dict[str, np.ndarray]:
    """Arrays of `GROUNDING_BATCH` that a training row has as well."""
    in_tube, stored = tube_boxes(sample, plan.frame_ids)
    boxes = np.zeros((len(in_tube), 4), np.float32)
    boxes[in_tube] = _cxcywh(plan.view.show(stored))
    return {
        "in_tube": in_tube,
        "boxes_cxcywh": boxes,
        "appearance_labels": _multi_hot(sample.appearance_labels, config.appearance_words),
        "motion_labels": _multi_hot(sample.motion_labels, config.motion_words),
    }


def _cxcywh(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def _multi_hot(labels: tuple[int, ...] | None, words: int) -> np.ndarray:
    """float32 [words]; a model without attributes has no words."""
    hot = np.zeros(words, np.float32)
    if words:
        hot[list(labels or ())] = 1
    return hot
