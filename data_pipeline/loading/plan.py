"""All that is decided about a row before its pixels are read: a pure function of (seed, epoch, sample)."""

from __future__ import annotations

import dataclasses

import numpy as np

from stvg_jax.data_pipeline.annotations.records import Sample
from stvg_jax.data_pipeline.frame_rules import cut_window, evaluation_frame_ids, interleave, training_frame_ids
from stvg_jax.data_pipeline.frames import model_size
from stvg_jax.data_pipeline.loading import draws
from stvg_jax.data_pipeline.loading.buckets import clip_arguments, rates
from stvg_jax.data_pipeline.loading.config import LoaderConfig
from stvg_jax.data_pipeline.loading.geometry import View, training_view, whole_view
from stvg_jax.data_pipeline.loading.order import NO_SAMPLE
from stvg_jax.data_pipeline.shards import StoredVideo


@dataclasses.dataclass(frozen=True)
class RowPlan:
    """What one row of a batch shows.

    Attributes:
        sample: index into the loader's samples; `order.NO_SAMPLE` for a row that fills up a batch.
        number: 0 or 1, the pass of an evaluation; 0 in training.
        frame_ids: int64 [n], strictly increasing.
        view: how each frame is shown.
    """

    sample: int
    number: int
    frame_ids: np.ndarray
    view: View


def training_plan(
    sample: Sample, video: StoredVideo, config: LoaderConfig, *, seed: int, epoch: int, index: int
) -> RowPlan:
    """Draws the frames and the view of a sample.

    Args:
        index: of the sample, which the draws depend on.
    """
    rng = draws.generator(seed, epoch, draws.CLIP, index)
    ids = training_frame_ids(
        *clip_arguments(sample, config),
        tube=sample.tube,
        rng=rng,
        crop_probability=config.temporal_crop,
        **rates(config),
    )
    if config.window:
        ids = cut_window(ids, sample.tube, config.window, rng)
    boxes = tube_boxes(sample, ids)[1]
    original = video.height, video.width
    return RowPlan(index, 0, ids, training_view(stored_size(video), original, boxes, config, rng))


def evaluation_plan(sample: Sample, video: StoredVideo, config: LoaderConfig, number: int, *, index: int) -> RowPlan:
    """Pass 0 or 1, by `number`, over a sample."""
    ids = interleave(evaluation_frame_ids(*clip_arguments(sample, config), **rates(config)))[number]
    view = whole_view(stored_size(video), model_size(video.height, video.width, config.resolution))
    return RowPlan(index, number, ids, view)


def filling_plan(number: int, size: tuple[int, int]) -> RowPlan:
    """One black frame of this size (height, width), where an evaluation has run out of samples."""
    return RowPlan(NO_SAMPLE, number, np.zeros(1, np.int64), whole_view(size, size))


def stored_size(video: StoredVideo) -> tuple[int, int]:
    """(height, width) of a picture in the store."""
    return video.stored_height, video.stored_width


def tube_boxes(sample: Sample, frame_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of these frames lie in the tube, bool [n], and the boxes of those: float64 [m, 4], xyxy in [0, 1]."""
    in_tube = (frame_ids >= sample.tube[0]) & (frame_ids < sample.tube[1])
    boxes = sample.boxes_xyxy[frame_ids[in_tube] - sample.tube[0]]
    return in_tube, boxes / [sample.width, sample.height, sample.width, sample.height]
