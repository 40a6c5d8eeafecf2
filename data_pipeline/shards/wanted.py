"""The frames to store, by video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.core.passes import TWO
from stvg_jax.data_pipeline.annotations import VideoText
from stvg_jax.data_pipeline.datasets.registry import get_dataset
from stvg_jax.data_pipeline.frame_rules import Amount, candidate_frame_ids, evaluation_frame_ids, get_frame_rule

POLICIES = ("sampled", "clips", "all")

# Frames of a video: ascending ids; a function, which can be pickled, from the number of its frames to ascending ids; or
# None for all.
Frames: TypeAlias = np.ndarray | Callable[[int], np.ndarray] | None
# By the name of the video.
Wanted: TypeAlias = Mapping[str, Frames]


def wanted_frames(
    samples: Iterable[VideoText],
    dataset: str,
    policy: str,
    *,
    rule: str | None = None,
    amount: Amount | None = None,
) -> dict[str, np.ndarray | None]:
    """The frames that training and evaluation on these samples may use, by video, sorted by name.

    Args:
        samples: samples of one or more splits.
        dataset: name of the dataset.
        policy: "sampled" for the frames of an evaluation by the frame rule, which is not enough to train with a rule
            that `crops_first`; "clips" for all frames of the clips that it may choose; "all" for all frames of the
            videos. A video whose clip is unknown is stored whole.
        rule: name of the frame rule (`data_pipeline.frame_rules`); None for that of the dataset.
        amount: number of frames of an evaluation; None for that of the two passes of TA-STVG and CG-STVG.

    Raises:
        InputError: an unknown policy or rule, "sampled" for a dataset that has no frame rule or for a rule that needs
            the rates of the videos, or a tube outside its clip.
    """
    name = rule or get_dataset(dataset).rules
    amount = amount or Amount(passes=TWO)
    if policy not in POLICIES:
        raise InputError(f"unknown choice of frames {policy!r}; choose one of {', '.join(POLICIES)}")
    if policy == "sampled" and name is None:
        raise InputError(f"there is no frame rule for {dataset!r}; take clips or all")
    if policy == "sampled" and name is not None and get_frame_rule(name).needs_video_fps:
        raise InputError(
            f"the frame rule {name} needs the rates of the videos, which are not known yet; take clips or all"
        )
    # Many sentences share a clip.
    parts: dict[str, set] = {}
    for sample in samples:
        parts.setdefault(sample.video, set()).add((sample.clip, sample.event))
    whole = {video for video, asked in parts.items() if policy == "all" or any(clip is None for clip, _ in asked)}
    return {
        video: None
        if video in whole
        else np.unique(np.concatenate([_frames_of(clip, event, name, amount, policy) for clip, event in parts[video]]))
        for video in sorted(parts)
    }


def _frames_of(
    clip: tuple[int, int], event: tuple[int, int] | None, name: str | None, amount: Amount, policy: str
) -> np.ndarray:
    first, end = clip
    if name is None:
        return np.arange(first, end)
    rule, rates = get_frame_rule(name), {"frames_per_pass": amount.frames_per_pass, "sample_fps": amount.sample_fps}
    if policy == "sampled":
        ids = evaluation_frame_ids(end - first, name, first, passes=amount.passes, **rates)
    else:
        # A last frame that the rule never takes is left out: some videos lack it.
        ids = np.arange(first, rule.end(clip))
    if rule.crops_first or rule.needs_video_fps or event is None:
        return ids
    # And a frame in each tube that is too short for this grid.
    return np.union1d(ids, candidate_frame_ids(end - first, name, first, tube=event, crop=True, **rates))


def ids_of(frames: Frames, frame_count: int) -> np.ndarray | None:
    """Ascending ids of frames of a video with so many, int64 [n]; None for all."""
    return frames(frame_count) if callable(frames) else frames
