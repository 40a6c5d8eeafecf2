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
from stvg_jax.data_pipeline.loading.config import LoaderConfig, bucket_size
from stvg_jax.data_pipeline.loading.order import CLIP, NO_SAMPLE, generator
from stvg_jax.data_pipeline.shards import StoredVideo
from stvg_jax.data_pipeline.size_rules import get_size_rule

# TA-STVG's datasets/build.py resizes to one of these rows, then cuts out a part with sides of 384 to 600, at resolution
# 420. Here all of them scale with the resolution, unless the configuration gives others.
_REFERENCE_RESOLUTION = 420
_CROP_SCALES = (400, 500, 600)
_CROP_SIDE = (384, 600)


@dataclasses.dataclass(frozen=True)
class View:
    """The picture that a model sees of a stored one: a part is cut out, resized, then flipped.

    Attributes:
        stored: (height, width) of the stored picture.
        part: (top, left, height, width) in pixels of the stored picture.
        size: (height, width) of what the model sees.
        flip: whether it is mirrored.
    """

    stored: tuple[int, int]
    part: tuple[int, int, int, int]
    size: tuple[int, int]
    flip: bool = False

    def show(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes of the stored picture in the view, cut at its edges: xyxy, float64 [n, 4], both in [0, 1]."""
        height, width = self.stored
        top, left, part_height, part_width = self.part
        offset, scale = np.array([left, top] * 2), np.array([part_width, part_height] * 2)
        shown = np.clip((boxes * [width, height, width, height] - offset) / scale, 0, 1)
        return np.abs(shown[:, [2, 1, 0, 3]] - [1, 0, 1, 0]) if self.flip else shown


def whole_view(stored: tuple[int, int], size: tuple[int, int]) -> View:
    """A view of the whole picture, not flipped."""
    return View(stored, (0, 0, *stored), size)


def training_view(
    stored: tuple[int, int],
    original: tuple[int, int],
    boxes: np.ndarray,
    config: LoaderConfig,
    rng: np.random.Generator,
) -> View:
    """A random view; never larger than a batch with the whole picture (`loading.config.bucket_size`).

    Args:
        stored, original: (height, width) of a picture in the store and in the video.
        boxes: float64 [n, 4], xyxy in [0, 1]; a part of each is in the view.
    """
    flip = bool(rng.random() < config.flip)
    rows = config.scales[rng.integers(len(config.scales))] if config.scales else config.resolution
    size = model_size(*original, config.resolution, config.sizing, rows)
    if not rng.random() < config.size_crop:
        return View(stored, (0, 0, *stored), size, flip)
    largest = model_size(*original, config.resolution, config.sizing)
    proportional = get_size_rule(config.sizing).keeps_proportions
    part = _random_part(stored, original if proportional else largest, boxes, config, rng)
    share = part[2] / stored[0], part[3] / stored[1]
    if proportional:
        height, width = (max(1, round(part * side)) for part, side in zip(share, original, strict=True))
        full = model_size(height, width, config.resolution, config.sizing, rows)
        room = bucket_size(largest, config)
        # A part may be higher than a batch of whole pictures, or wider.
        factor = min(room[0] / full[0], room[1] / full[1], 1.0)
    else:
        full = share[0] * size[0], share[1] * size[1]
        # Enlarged or reduced to just fit: a part need not have the proportions of the whole.
        factor = min(size[0] / full[0], size[1] / full[1])
    shown = max(1, int(full[0] * factor + 1e-6)), max(1, int(full[1] * factor + 1e-6))
    return View(stored, part, shown, flip)


def _random_part(
    stored: tuple[int, int],
    size: tuple[int, int],
    boxes: np.ndarray,
    config: LoaderConfig,
    rng: np.random.Generator,
) -> tuple[int, int, int, int]:
    """A part of the stored picture with some of each box; the whole picture if none is found."""
    own = bool(config.crop_scales)
    unit = 1.0 if own else config.resolution / _REFERENCE_RESOLUTION
    scale = rng.choice(config.crop_scales if own else _CROP_SCALES) * unit
    upright = size[1] < size[0] and get_size_rule(config.sizing).keeps_proportions
    enlarged = np.array([scale * size[0] / size[1], scale] if upright else [scale, scale * size[1] / size[0]])
    shortest, longest = config.crop_sides if own else _CROP_SIDE
    least, most = np.minimum(shortest * unit, enlarged), np.minimum(longest * unit, enlarged)
    for _ in range(config.crop_tries):
        # In [0, 1] of the picture, then in whole pixels of it.
        sides = rng.uniform(least, most) / enlarged
        corner = rng.uniform(0, 1 - sides)
        first = np.round(corner * stored).astype(int)
        last = np.maximum(np.round((corner + sides) * stored).astype(int), first + 1)
        view = View(stored, (*first.tolist(), *(last - first).tolist()), size)
        left_over = view.show(boxes)
        if np.all(left_over[:, :2] < left_over[:, 2:]):
            return view.part
    return (0, 0, *stored)


class Passes(Protocol):
    """A way to divide the sampled frames of a clip among the rows of an evaluation, such as
    `stvg_jax.core.passes.InterleavedPasses`."""

    @property
    def passes(self) -> int:
        """Passes, by which the sampling rate is multiplied."""
        ...

    @property
    def rows(self) -> int:
        """Rows for each sample."""
        ...

    def split(self, frame_ids: np.ndarray) -> tuple[np.ndarray, ...]:
        """int64 [n], n >= 1 -> the frames of at most `rows` rows; none is empty, none longer than the first."""
        ...


@dataclasses.dataclass(frozen=True)
class RowPlan:
    """The content of one row of a batch.

    Attributes:
        sample: index into the loader's samples; `order.NO_SAMPLE` for a row that fills up a batch.
        pass_index: row of its sample in an evaluation; 0 in training.
        frame_ids: int64 [n], strictly increasing.
        view: view of each frame.
    """

    sample: int
    pass_index: int
    frame_ids: np.ndarray
    view: View


def most_frames(
    samples: Sequence[Sample], videos: Mapping[str, StoredVideo], config: LoaderConfig, passes: Passes | None
) -> int:
    """Frames of the longest row of these samples, in an evaluation with these passes or, with None, in training.

    With the released rules it is 65 or 64 unless all clips are shorter.
    """
    longest = (len(_longest_row(sample, videos[sample.video], config, passes)) for sample in samples)
    most = max(longest, default=0)
    return min(most, config.window) if passes is None and config.window else most


def _longest_row(sample: Sample, video: StoredVideo, config: LoaderConfig, passes: Passes | None) -> np.ndarray:
    if passes is None:
        clip = _clip_arguments(sample, video, config)
        return candidate_frame_ids(**clip, tube=sample.tube, crop=False)
    return passes.split(needed_frame_ids(sample, video, config, passes))[0]


def needed_frame_ids(sample: Sample, video: StoredVideo, config: LoaderConfig, passes: Passes | None) -> np.ndarray:
    """All frames of its video that rows of this sample may show: int64 [n], strictly increasing.

    Args:
        passes: passes of an evaluation; None in training.

    Raises:
        InputError: see `data_pipeline.frame_rules`.
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
        index: index of the sample, on which the draws depend.
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
    """One row of a sample; a black frame if its frames fill fewer rows."""
    size = model_size(video.height, video.width, config.resolution, config.sizing)
    parts = passes.split(needed_frame_ids(sample, video, config, passes))
    if pass_index >= len(parts):
        return filling_plan(pass_index, size)
    return RowPlan(index, pass_index, parts[pass_index], whole_view(stored_size(video), size))


def filling_plan(pass_index: int, size: tuple[int, int]) -> RowPlan:
    """One black frame of this size (height, width), for a row without a sample."""
    return RowPlan(NO_SAMPLE, pass_index, np.zeros(1, np.int64), whole_view(size, size))


def stored_size(video: StoredVideo) -> tuple[int, int]:
    """(height, width) of a picture in the store."""
    return video.stored_height, video.stored_width


def tube_boxes(sample: Sample, frame_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mask of the frames in the tube, bool [n], and the boxes of these: float64 [m, 4], xyxy in [0, 1]."""
    in_tube = (frame_ids >= sample.tube[0]) & (frame_ids < sample.tube[1])
    boxes = sample.boxes_xyxy[frame_ids[in_tube] - sample.tube[0]]
    return in_tube, boxes / [sample.width, sample.height, sample.width, sample.height]


def row_arrays(plan: RowPlan, text_ids: np.ndarray) -> dict[str, Any]:
    """Arrays of `GROUNDING_BATCH` that every row has beside its pictures, for `BatchSchema.pack`."""
    return {"frame_ids": plan.frame_ids, "sizes": plan.view.size, "text_ids": text_ids, "sample": plan.sample}


def row_tube(plan: RowPlan, sample: Sample | None) -> dict[str, np.ndarray]:
    """The true tube as arrays of `GROUNDING_BATCH`; empty for a row that fills up a batch and has no sample."""
    in_tube, boxes = np.zeros(len(plan.frame_ids), bool), np.zeros((len(plan.frame_ids), 4), np.float32)
    if sample is not None:
        in_tube, stored = tube_boxes(sample, plan.frame_ids)
        boxes[in_tube] = _cxcywh(plan.view.show(stored))
    return {"in_tube": in_tube, "boxes_cxcywh": boxes}


def row_labels(sample: Sample, config: LoaderConfig) -> dict[str, np.ndarray]:
    """Further arrays of `GROUNDING_BATCH` of a training row."""
    return {
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
