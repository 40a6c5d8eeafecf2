"""The videos that annotations are about: where they lie, and whether they are what the annotations say."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations.problems import Problem
from stvg_jax.data_pipeline.annotations.records import Annotations, Sample

_FOLDERS = {"hcstvg": ("v1_video", "v2_video", "video", "videos"), "vidstg": ("videos", "video"), "json": ("videos",)}


@dataclasses.dataclass(frozen=True)
class VideoFacts:
    """A video file as it really is: frames that can be decoded, and their size in pixels as displayed."""

    frame_count: int
    width: int
    height: int


class VideoPaths:
    """Paths of videos within a folder, with "/": VidOR's may lie in groups, those of HC-STVG 2 in packages."""

    def __init__(self, paths: Iterable[str]):
        self._by_name: dict[str, list[str]] = {}
        for path in paths:
            self._by_name.setdefault(path.rsplit("/", 1)[-1], []).append(path)

    def find(self, video: str) -> list[str]:
        """The paths that `video`, a name or a path, may mean: itself, or else all that end with it."""
        named = self._by_name.get(video.rsplit("/", 1)[-1], [])
        return [video] if video in named else [path for path in named if path.endswith(f"/{video}")]


class VideoFolder:
    """A folder of videos, which may lie in folders of their own."""

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise InputError(f"there is no video folder {folder}")
        self.folder = folder

    def find(self, video: str) -> list[str]:
        """As `VideoPaths.find`. The folders below are searched only if a video does not lie where it is said to."""
        return [video] if (self.folder / video).is_file() else self._paths.find(video)

    @functools.cached_property
    def _paths(self) -> VideoPaths:
        paths = []
        visited: set[tuple[int, int]] = set()
        for root, folders, files in os.walk(self.folder, followlinks=True):
            # Links may lead back to a folder above them.
            place = os.stat(root)
            if (place.st_dev, place.st_ino) in visited:
                folders.clear()
                continue
            visited.add((place.st_dev, place.st_ino))
            folders.sort()
            paths += [(Path(root) / name).relative_to(self.folder).as_posix() for name in files]
        return VideoPaths(paths)


def match_videos(annotations: Annotations, paths: Iterable[str]) -> Annotations:
    """`annotations` with each `Sample.video` as it is called among `paths`, such as those of a frame store.

    For annotations that were read without their video folder, when the videos lie in folders within it. A video that is
    not among `paths`, or not once only, keeps its name.
    """
    known = VideoPaths(paths)
    samples = []
    for sample in annotations.samples:
        found = known.find(sample.video)
        samples.append(dataclasses.replace(sample, video=found[0]) if len(found) == 1 else sample)
    return dataclasses.replace(annotations, samples=samples)


def find_video_folder(dataset: str, path: Path) -> Path:
    """The video folder that belongs to a dataset folder or to an annotation file in one, by the releases' layouts.

    Raises:
        InputError: there is none, or more than one.
    """
    if dataset not in _FOLDERS:
        raise InputError(f"unknown dataset {dataset!r}; choose one of {', '.join(_FOLDERS)}")
    path = path.resolve()
    # An annotation file lies in the dataset folder or at most two folders below it (annos/hcstvg_v1/train.json).
    places = [path] if path.is_dir() else list(path.parents)[:3]
    for place in places:
        found = [place / name for name in _FOLDERS[dataset] if (place / name).is_dir()]
        if len(found) > 1:
            names = " and ".join(folder.name for folder in found)
            raise InputError(f"{place} has the video folders {names}; say which one with --videos")
        if found:
            return found[0]
    names = " or ".join(_FOLDERS[dataset])
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
    problems = []
    for sample in annotations.samples:

        def report(rule: str, detail: str, sample: Sample = sample) -> None:
            problems.append(Problem(sample.video, f"sample {sample.id}", rule, detail))

        video = facts.get(sample.video)
        if video is None:
            report("missing video", f"there is no {sample.video}")
            continue
        if (video.width, video.height) != (sample.width, sample.height):
            report(
                "video of another size",
                f"the annotation says {sample.width} x {sample.height}, the video is {video.width} x {video.height}",
            )
        needed = _frames_needed(sample, annotations.dataset)
        if video.frame_count < needed:
            report(
                "video too short",
                f"frames up to {needed - 1} are needed, the video has {video.frame_count} frames (0 to "
                f"{video.frame_count - 1})",
            )
    return problems


def _frames_needed(sample: Sample, dataset: str) -> int:
    # HC-STVG's last frame is never sampled (`data_pipeline.sampling`), but may belong to the tube.
    sampled = sample.clip[1] - 1 if dataset == "hcstvg" else sample.clip[1]
    return max(sampled, sample.tube[1])
