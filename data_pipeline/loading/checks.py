"""Checks, before a run begins, for faults that would stop it half-way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations.problems import Problem
from stvg_jax.data_pipeline.annotations.records import Sample
from stvg_jax.data_pipeline.frames import model_size
from stvg_jax.data_pipeline.loading.config import LoaderConfig
from stvg_jax.data_pipeline.loading.plan import Passes, needed_frame_ids
from stvg_jax.data_pipeline.shards import FrameStore, Settings, StoredVideo

REDUCED = "frames reduced for another model"
_LABELS = "train on annotations that have them, or make them with `stvg-jax prepare labels`"


def find_problems(
    samples: Sequence[Sample], store: FrameStore, config: LoaderConfig, passes: Passes | None
) -> list[Problem]:
    """A problem for each sample and broken rule; see `data_pipeline.annotations.raise_problems`.

    Args:
        passes: passes of an evaluation; None in training.
    """
    problems = []
    for sample in samples:
        video = store.videos.get(sample.video)
        if video is None:
            found = [("video not stored", "store its frames with `stvg-jax prepare frames`")]
        else:
            found = [
                *picture_problems(video, store.settings, config.resolution, config.sizing),
                *_frame_problems(sample, video, config, passes),
                *_label_problems(sample, config, passes is None),
            ]
        problems += [Problem(sample.video, f"sample {sample.id}", rule, detail) for rule, detail in found]
    return problems


def picture_problems(video: StoredVideo, settings: Settings, resolution: int, sizing: str) -> Iterator[tuple[str, str]]:
    """Rule and detail, if stored frames have other pixels than a model of this resolution and size rule takes."""
    if video.reduced and not settings.serves(resolution, sizing):
        yield (
            REDUCED,
            f"they have {settings.height} pixels by the size rule {settings.sizing}, and this model takes "
            f"{resolution} by {sizing}; prepare them in another folder, with `stvg-jax prepare frames "
            "--family`, or with --height 0 for their own size",
        )


def _frame_problems(
    sample: Sample, video: StoredVideo, config: LoaderConfig, passes: Passes | None
) -> Iterator[tuple[str, str]]:
    try:
        model_size(video.height, video.width, config.resolution, config.sizing)
        needed = needed_frame_ids(sample, video, config, passes)
    except InputError as error:
        yield "clip that cannot be used", str(error)
        return
    missing = needed[video.records_of(needed) < 0]
    if len(missing) and missing[-1] >= video.frame_count:
        yield "video too short", f"frame {missing[-1]} is needed, the video has frames 0 to {video.frame_count - 1}"
    elif len(missing):
        yield (
            "frames not stored",
            f"{len(missing)} of {len(needed)} are missing, the first is {missing[0]}; store them with "
            "`stvg-jax prepare frames --frames clips`, or those of this model alone with --family",
        )


def _label_problems(sample: Sample, config: LoaderConfig, training: bool) -> Iterator[tuple[str, str]]:
    if not training:
        return
    for kind in ("appearance", "motion"):
        labels, words = getattr(sample, f"{kind}_labels"), getattr(config, f"{kind}_words")
        if words and labels is None:
            yield f"no {kind} labels", _LABELS
        elif words and not all(0 <= label < words for label in labels):
            yield f"{kind} label outside the vocabulary", f"labels {labels}; the vocabulary has words 0 to {words - 1}"


def check_batches(
    samples: int, batch_size: int, hosts: tuple[int, int], training: bool, only: Sequence[int] | None
) -> None:
    """Raises an InputError for numbers from which no batches can be made."""
    host, count = hosts
    if not 0 <= host < count:
        raise InputError(f"host {host} of {count}: hosts are numbered from 0 to {count - 1}")
    if batch_size < 1 or batch_size % count:
        raise InputError(f"batch_size={batch_size} must be positive and a multiple of the number of hosts, {count}")
    if training and (only is not None or samples < batch_size):
        raise InputError(
            f"training on {samples} samples with batch_size={batch_size}: it needs all samples, and at least one batch"
        )
    if only is not None and any(not 0 <= index < samples for index in only):
        raise InputError(f"only={list(only)[:5]}... are not all indices of samples; those run from 0 to {samples - 1}")
