"""The few shapes that batches are padded to, so that few programs are compiled."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np

from stvg_jax.data_pipeline.annotations.records import Sample
from stvg_jax.data_pipeline.frame_rules import candidate_frame_ids, evaluation_frame_ids, interleave
from stvg_jax.data_pipeline.frames import MAX_ASPECT
from stvg_jax.data_pipeline.loading.config import LoaderConfig


def bucket_width(width: int, config: LoaderConfig) -> int:
    """Columns that a picture this wide (by `model_size`) is padded to."""
    widest = max(1, int(config.resolution * MAX_ASPECT))
    return min(-(-width // config.width_multiple) * config.width_multiple, widest)


def text_bucket(length: int, config: LoaderConfig) -> int:
    """Tokens that a text of this length, at most the last of `text_lengths`, is padded to."""
    return config.text_lengths[bisect.bisect_left(config.text_lengths, length)]


def most_frames(samples: Sequence[Sample], config: LoaderConfig, *, training: bool) -> int:
    """Frames of the longest row that any of these samples can make; 65 or 64 unless all clips are shorter."""
    most = max((len(longest_row(sample, config, training=training)) for sample in samples), default=0)
    return min(most, config.window) if training and config.window else most


def longest_row(sample: Sample, config: LoaderConfig, *, training: bool) -> np.ndarray:
    """Ids of the longest row that this sample can make."""
    if training:
        return candidate_frame_ids(*clip_arguments(sample, config), tube=sample.tube, crop=False, **rates(config))
    return interleave(evaluation_frame_ids(*clip_arguments(sample, config), **rates(config)))[0]


def needed_frame_ids(sample: Sample, config: LoaderConfig, *, training: bool) -> np.ndarray:
    """Every frame of its video that rows of this sample may show: int64 [n], strictly increasing.

    Raises:
        InputError: as `data_pipeline.frame_rules`.
    """
    if training:
        crop = config.temporal_crop > 0
        return candidate_frame_ids(*clip_arguments(sample, config), tube=sample.tube, crop=crop, **rates(config))
    return evaluation_frame_ids(*clip_arguments(sample, config), **rates(config))


def clip_arguments(sample: Sample, config: LoaderConfig) -> tuple[int, str, int]:
    """What the functions of `data_pipeline.frame_rules` are told about a clip."""
    first, end = sample.clip
    return end - first, config.sampling, first


def rates(config: LoaderConfig) -> dict[str, int | float]:
    return {"frames_per_pass": config.frames_per_pass, "sample_fps": config.sample_fps}
