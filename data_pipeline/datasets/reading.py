"""Reading any dataset, finding its videos, and comparing the two."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations import Annotations, Problem, VideoFacts, VideoText
from stvg_jax.data_pipeline.annotations.labels import merge_labels, read_labels
from stvg_jax.data_pipeline.datasets.registry import get_dataset


def read_annotations(
    dataset: str,
    path: Path | str,
    *,
    split: str,
    videos: Path | str | None = None,
    labels: Path | str | None = None,
    on_problem: str = "raise",
    **options: Any,
) -> Annotations:
    """Reads one split of a dataset. The formats and rules are in docs/annotations.md.

    Args:
        dataset: its name (`registry.MODULES`): "hcstvg" (both versions), "vidstg" or "json", one's own.
        path: the dataset folder, or the annotation file itself.
        split: "train", "val" or "test"; for one's own data whatever the file is called.
        videos: the video folder, to check that the videos exist and to find those in folders below it; see
            `find_video_folder`. None: they are not looked for, and are taken to lie flat.
        labels: a file made by `stvg-jax prepare labels`, whose labels and vocabularies take the place of the file's.
        on_problem: what becomes of entries with something wrong: "raise" an error that tells all of them; "exclude"
            them; or "keep" those that can be used, as the released systems do, which check little: boxes outside the
            frame or without area, and missing videos. What cannot be used is excluded then.
        options: of the dataset (`Dataset.options`), None for its default. VidSTG: `trajectories`, the folder of VidOR's
            trajectories for sentence files, by default looked for beside them; `replacements`, words to replace in
            sentences, typing errors for the most part, or the JSON file of them.

    Returns:
        The samples in the order of the file, what was left out and why, and what is wrong with the file.

    Raises:
        InputError: a file is missing or not JSON, an option is unknown, entries are wrong (`on_problem="raise"`), or no
            sample is left.
    """
    record = get_dataset(dataset)
    annotations = record.read(
        Path(path),
        split,
        videos=None if videos is None else Path(videos),
        on_problem=on_problem,
        **record.load_options(options),
    )
    return annotations if labels is None else merge_labels(annotations, read_labels(Path(labels)))


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
        facts: by `Sample.video`.

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
