"""The videos of a dataset: where they lie, and whether they are what the annotations say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations import Annotations, Problem, VideoFacts, VideoText
from stvg_jax.data_pipeline.datasets.registry import get_dataset


def find_video_folder(dataset: str, path: Path) -> Path:
    """The video folder that belongs to a dataset folder or to an annotation file in one, by the releases' layouts.

    Raises:
        InputError: there is none, or more than one; no dataset has this name.
    """
    known = get_dataset(dataset).video_folders
    path = path.resolve()
    # An annotation file lies in the dataset folder or at most two folders below it (annos/hcstvg_v1/train.json).
    places = [path] if path.is_dir() else list(path.parents)[:3]
    for place in places:
        found = [place / name for name in known if (place / name).is_dir()]
        if len(found) > 1:
            names = " and ".join(folder.name for folder in found)
            raise InputError(f"{place} has the video folders {names}; say which one with --videos")
        if found:
            return found[0]
    names = " or ".join(known)
    raise InputError(f"no video folder ({names}) was found in {places[0]}; say where the videos are with --videos")


def check_against_videos(annotations: Annotations, facts: Mapping[str, VideoFacts]) -> list[Problem]:
    """Compares annotations with the videos themselves.

    A video must exist, have the annotated size, and have the frames that the sample needs: those that may be sampled
    and those of the tube.

    Args:
        annotations: of one split.
        facts: by `Sample.video`. Anything with the attributes of `VideoFacts` will do.

    Returns:
        A problem for each sample and rule; for `raise_problems`.
    """
    record, problems = get_dataset(annotations.dataset), []
    for sample in annotations.samples:

        def report(rule: str, detail: str, sample: VideoText = sample) -> None:
            problems.append(Problem(sample.video, f"sample {sample.id}", rule, detail))

        video = facts.get(sample.video)
        if video is None:
            report("missing video", f"there is no {sample.video}")
            continue
        if sample.frame_size not in (None, (video.width, video.height)):
            width, height = sample.frame_size
            report(
                "video of another size",
                f"the annotation says {width} x {height}, the video is {video.width} x {video.height}",
            )
        needed = record.frames_needed(sample)
        if video.frame_count < needed:
            report(
                "video too short",
                f"frames up to {needed - 1} are needed, the video has {video.frame_count} frames (0 to "
                f"{video.frame_count - 1})",
            )
    return problems
