"""Which frames of which videos have to be stored."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Mapping

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations.records import Sample
from stvg_jax.data_pipeline.sampling import RULES, candidate_frame_ids, evaluation_frame_ids

POLICIES = ("sampled", "clips", "all")

_VIDEO_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".3gp", ".ogv"),
}

# Of every video by name: ascending ids, or None for all frames.
Wanted = Mapping[str, np.ndarray | None]


def default_policy(dataset: str) -> str:
    """ "sampled" for HC-STVG, whose training looks at a part of the evaluation's frames; otherwise "clips"."""
    return "sampled" if dataset == "hcstvg" else "clips"


def wanted_frames(samples: Iterable[Sample], dataset: str, policy: str) -> dict[str, np.ndarray | None]:
    """The frames that training and evaluation on these samples may look at, once for each video, sorted by name.

    "sampled": what evaluation looks at (`data_pipeline.sampling`). On HC-STVG that serves training too: a step of the
    training grid, 3.2 frames per second, is every other step of the evaluation's, and a temporal crop takes a part of
    the grid (TA-STVG, datasets/data_utils.py). On VidSTG training spreads its frames over a random crop, so that it may
    look at any; there "sampled" is for evaluation alone.

    "clips": every frame of every sample's clip that any rule may take.

    "all": every frame of the videos.

    Raises:
        InputError: an unknown policy, "sampled" for a dataset that has no such rule, or a tube outside its clip.
    """
    if policy not in POLICIES:
        raise InputError(f"unknown choice of frames {policy!r}; choose one of {', '.join(POLICIES)}")
    if policy == "sampled" and dataset not in RULES:
        raise InputError(f"there is no rule of sampling for {dataset!r}; take clips or all")
    # Many sentences share a clip.
    parts: dict[str, set] = {}
    for sample in samples:
        parts.setdefault(sample.video, set()).add((sample.clip, sample.tube))
    if policy == "all":
        return dict.fromkeys(sorted(parts))
    return {
        video: np.unique(np.concatenate([_frames_of(clip, tube, dataset, policy) for clip, tube in parts[video]]))
        for video in sorted(parts)
    }


def _frames_of(clip: tuple[int, int], tube: tuple[int, int], dataset: str, policy: str) -> np.ndarray:
    first, end = clip
    if dataset != "hcstvg":
        return evaluation_frame_ids(end - first, dataset, first) if policy == "sampled" else np.arange(first, end)
    if policy == "sampled":
        ids = evaluation_frame_ids(end - first, dataset, first)
    else:
        # The rule never takes a clip's last frame, which some videos have not got.
        ids = np.arange(first, max(end - 1, first + 1))
    # Beside that grid, a frame within a tube so short that the grid misses it.
    return np.union1d(ids, candidate_frame_ids(end - first, dataset, first, tube=tube, crop=True))


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
