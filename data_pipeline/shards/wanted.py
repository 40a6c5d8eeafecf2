"""The frames to store, by video."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Mapping

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations import VideoText
from stvg_jax.data_pipeline.datasets.dataset import Dataset
from stvg_jax.data_pipeline.datasets.registry import get_dataset
from stvg_jax.data_pipeline.frame_rules import candidate_frame_ids, evaluation_frame_ids

POLICIES = ("sampled", "clips", "all")

_VIDEO_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".3gp", ".ogv"),
}

# Ascending frame ids, or None for all frames, by the name of the video.
Wanted = Mapping[str, np.ndarray | None]


def wanted_frames(samples: Iterable[VideoText], dataset: str, policy: str) -> dict[str, np.ndarray | None]:
    """The frames that training and evaluation on these samples may use, by video, sorted by name.

    Args:
        samples: samples of one or more splits.
        dataset: name of the dataset.
        policy: "sampled" for the frames of an evaluation by the dataset's frame rule (`data_pipeline.frame_rules`),
            which is not enough to train with a rule that `crops_first`; "clips" for all frames of the clips that any
            rule may choose; "all" for all frames of the videos. A video whose clip is unknown is stored whole.

    Raises:
        InputError: an unknown policy, "sampled" for a dataset that has no frame rule, or a tube outside its clip.
    """
    record = get_dataset(dataset)
    if policy not in POLICIES:
        raise InputError(f"unknown choice of frames {policy!r}; choose one of {', '.join(POLICIES)}")
    if policy == "sampled" and record.frame_rule is None:
        raise InputError(f"there is no frame rule for {dataset!r}; take clips or all")
    # Many sentences share a clip.
    parts: dict[str, set] = {}
    for sample in samples:
        parts.setdefault(sample.video, set()).add((sample.clip, sample.event))
    whole = {video for video, asked in parts.items() if policy == "all" or any(clip is None for clip, _ in asked)}
    return {
        video: None
        if video in whole
        else np.unique(np.concatenate([_frames_of(clip, event, record, policy) for clip, event in parts[video]]))
        for video in sorted(parts)
    }


def _frames_of(clip: tuple[int, int], event: tuple[int, int] | None, record: Dataset, policy: str) -> np.ndarray:
    (first, end), name, rule = clip, record.rules, record.frame_rule
    if name is None or rule is None:
        return np.arange(first, end)
    # A last frame that the rule never takes is left out: some videos lack it.
    ids = evaluation_frame_ids(end - first, name, first) if policy == "sampled" else np.arange(first, rule.end(clip))
    if rule.crops_first or event is None:
        return ids
    # And a frame in each tube that is too short for this grid.
    return np.union1d(ids, candidate_frame_ids(end - first, name, first, tube=event, crop=True))


def all_videos(folder: str | os.PathLike) -> dict[str, None]:
    """All frames of all video files below a folder, recognised by their suffixes.

    Raises:
        InputError: no such folder, or no video in it.
    """
    root = pathlib.Path(folder)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the folder that holds the videos")
    paths = (path for path in root.rglob("*") if path.suffix.lower() in _VIDEO_SUFFIXES and path.is_file())
    names = sorted(path.relative_to(root).as_posix() for path in paths)
    if not names:
        raise InputError(f"{root}: there is no video below this folder; suffixes: {' '.join(sorted(_VIDEO_SUFFIXES))}")
    return dict.fromkeys(names)
