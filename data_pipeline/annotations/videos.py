"""Folders of videos, and the names of the videos in them."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations.records import Annotations


@dataclasses.dataclass(frozen=True)
class VideoFacts:
    """Facts of a video file: frames that can be decoded, and their size in pixels as displayed."""

    frame_count: int
    width: int
    height: int


class VideoLike(Protocol):
    """Anything with the attributes of `VideoFacts`, such as a stored video."""

    @property
    def frame_count(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...


class VideoPaths:
    """Paths of videos within a folder, with "/". VidOR's videos lie in groups, those of HC-STVG 2 in packages."""

    def __init__(self, paths: Iterable[str]):
        self._by_name: dict[str, list[str]] = {}
        for path in paths:
            self._by_name.setdefault(path.rsplit("/", 1)[-1], []).append(path)

    def find(self, video: str) -> list[str]:
        """The paths that `video`, a name or a path, may mean: the same path, or else all that end with it."""
        named = self._by_name.get(video.rsplit("/", 1)[-1], [])
        return [video] if video in named else [path for path in named if path.endswith(f"/{video}")]


class VideoFolder:
    """A folder of videos, which may lie in folders below it."""

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise InputError(f"there is no video folder {folder}")
        self.folder = folder

    def find(self, video: str) -> list[str]:
        """As `VideoPaths.find`. The folders below are searched only if there is no file at the given path."""
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
    """`annotations` with each `Sample.video` replaced by its path among `paths`, such as those of a frame store.

    For annotations that were read without their video folder, if the videos lie in folders within it. A video that is
    not among `paths`, or more than once, keeps its name.
    """
    known = VideoPaths(paths)
    samples = []
    for sample in annotations.samples:
        found = known.find(sample.video)
        samples.append(dataclasses.replace(sample, video=found[0]) if len(found) == 1 else sample)
    return dataclasses.replace(annotations, samples=samples)
