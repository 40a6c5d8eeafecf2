"""Annotations of any dataset, its video folder, and the comparison of the two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations import Annotations, Problem, VideoText, match_videos, raise_problems
from stvg_jax.data_pipeline.annotations.videos import VideoLike
from stvg_jax.data_pipeline.datasets.labels import merge_labels, read_labels
from stvg_jax.data_pipeline.datasets.registry import get_dataset

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.shards import FrameStore


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
        dataset: name of the dataset (`registry.MODULES`): "hcstvg" (both versions), "vidstg" or "json" (your own).
        path: the dataset folder, or the annotation file itself.
        split: "train", "val" or "test"; of your own data, the name of the file.
        videos: the video folder (see `find_video_folder`), to check that the videos exist and to find those in folders
            below it. None does not look for them and takes them to lie flat.
        labels: a file made by `stvg-jax prepare labels`; its labels and vocabularies replace those of the annotations.
        on_problem: treatment of wrong entries: "raise" an error that lists all of them; "exclude" them; or "keep" those
            that can be used, as the released systems do, which check little (boxes outside the frame or without area,
            missing videos). Entries that cannot be used are excluded then.
        options: options of the dataset (`Dataset.options`), None for a default. VidSTG: `trajectories`, the folder of
            VidOR's trajectories for sentence files, by default one beside them; `replacements`, words to replace in
            sentences (mostly typing errors), or the JSON file of them.

    Returns:
        The samples in the order of the file, the entries left out, and the problems found.

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
    """The video folder of a dataset folder, or of an annotation file in one, in the layouts of the releases.

    Raises:
        InputError: there is none, or more than one; or no dataset has this name.
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


def check_against_videos(annotations: Annotations, facts: Mapping[str, VideoLike]) -> list[Problem]:
    """Compares annotations with the videos themselves.

    A video must exist, have the annotated size, and have all frames that may be sampled or are in the tube.

    Args:
        annotations: the annotations of a split.
        facts: facts of the videos, by `Sample.video`.

    Returns:
        A problem for each sample and broken rule; see `raise_problems`.
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


def read_with_frames(
    data: Any, split: str, require: Callable[[Annotations], object], *, unit: str, **options: Any
) -> tuple[Annotations, FrameStore, list[Problem]]:
    """Annotations of a split that are trained on or evaluated, the stored frames of their videos, and what does not fit
    between them.

    Args:
        data: section `data` of an experiment: `dataset`, `annotations`, `frames` and `on_problem`.
        split: as for `read_annotations`.
        require: raises InputError for annotations that cannot be used so.
        unit: name of what an entry gives, for the message.
        options: as for `read_annotations`.

    Raises:
        InputError: a place is not set; annotations or frames cannot be read; or they do not belong together, with
            `on_problem="raise"`.
    """
    from stvg_jax.data_pipeline.shards import FrameStore

    for name in ("annotations", "frames"):
        if not getattr(data, name):
            raise InputError(f"config.data.{name} is not set; give it with --config.data.{name}=PATH")
    annotations = read_annotations(data.dataset, data.annotations, split=split, on_problem=data.on_problem, **options)
    require(annotations)
    store = FrameStore(data.frames)
    annotations = match_videos(annotations, store.videos)
    problems = check_against_videos(annotations, store.videos)
    if data.on_problem == "raise":
        raise_problems(
            problems,
            f"{data.annotations} and the frames in {data.frames} do not belong together",
            f"prepare the frames of these videos, or leave {unit} out with --config.data.on_problem=exclude",
        )
    return annotations, store, problems
