"""The frames that have to be stored, by video."""

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

# Of every video by name: ascending ids, or None for all frames.
Wanted = Mapping[str, np.ndarray | None]


def wanted_frames(samples: Iterable[VideoText], dataset: str, policy: str) -> dict[str, np.ndarray | None]:
    """The frames that training and evaluation on these samples may look at, once for each video, sorted by name.

    "sampled": what evaluation looks at by the dataset's frame rule (`data_pipeline.frame_rules`). With a rule that
    `crops_first`, training may look at any frame; there "sampled" is for evaluation alone.

    "clips": every frame of every sample's clip that any rule may take.

    "all": every frame of the videos. A video of which the annotations do not tell the clip is stored like this.

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
    # Clips without a last frame that the rule never takes: some videos have not got it.
    ids = evaluation_frame_ids(end - first, name, first) if policy == "sampled" else np.arange(first, rule.end(clip))
    if rule.crops_first or event is None:
        return ids
    # Beside that grid, a frame within a tube so short that the grid misses it.
    return np.union1d(ids, candidate_frame_ids(end - first, name, first, tube=event, crop=True))


def all_videos(folder: str | os.PathLike) -> dict[str, None]:
    """Every frame of every video file below a folder, told by the suffixes of the names.

    Raises:
        InputError: no such folder, or no video in it.
    """
    root = pathlib.Path(folder)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the folder that holds the videos")
    paths = (path for path in root.rglob("*") if path.suffix.lower() in _VIDEO_SUFFIXES and path.is_file())
    names = sorted(path.relative_to(root).as_posix() for path in paths)
    if not names:
        raise InputError(f"{root}: no video below this folder, by the suffixes {' '.join(sorted(_VIDEO_SUFFIXES))}")
    return dict.fromkeys(names)
