"""The work of a worker process: it stores a video in a shard."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Callable

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.core.files import whole_path
from stvg_jax.data_pipeline.shards.entries import StoredVideo, file_sha256, ids_to_text
from stvg_jax.data_pipeline.shards.folder import SUFFIX
from stvg_jax.data_pipeline.shards.jpeg import Settings, make_identity, marked
from stvg_jax.data_pipeline.shards.records import RecordWriter
from stvg_jax.data_pipeline.shards.wanted import Frames, ids_of
from stvg_jax.data_pipeline.video import VideoInfo, open_video


@dataclasses.dataclass(frozen=True)
class Job:
    """A video to store.

    Attributes:
        video: its name, a path relative to the folder of videos.
        source: its file.
        frames: the frames to store.
    """

    video: str
    source: pathlib.Path
    frames: Frames


@dataclasses.dataclass(frozen=True)
class Maker:
    """Makes shards in one store.

    Attributes:
        root: the store's folder.
        decoder, allow_partial: as for `data_pipeline.video.open_video`.
    """

    root: pathlib.Path
    settings: Settings
    decoder: str = "pyav"
    allow_partial: bool = False

    def __call__(self, job: Job, progress: Callable[[int, int], None]) -> StoredVideo:
        """Decodes a video once and writes its frames. Afterwards the shard is whole and on the disk.

        Args:
            progress: called with 1 and the bytes of the JPEG after each frame.

        Raises:
            InputError: the video is missing or damaged, lacks a wanted frame, or changed while it was read.
            OSError: the shard cannot be written.
        """
        before = source_state(job.source)
        digest = source_sha256(job.source)
        with open_video(job.source, self.decoder, self.allow_partial) as reader:
            info = reader.info
            ids = wanted_ids(job, info)
            every = len(ids) == info.frame_count
            frames = None if every else ids_to_text(ids)
            identity = make_identity(job.video, frames, digest, self.settings)
            size = self.settings.stored_size(info.height, info.width)
            path = self.root / "shards" / f"{job.video}.{_tag(frames, digest)}{SUFFIX}"
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_path(path) as partial:
                with RecordWriter(partial) as writer:
                    for frame_id, picture in reader.iter_selected(ids):
                        data = marked(self.settings.stored(picture), identity, int(frame_id))
                        writer.write(data)
                        progress(1, len(data))
                if source_state(job.source) != before:
                    raise InputError(f"{job.source}: the file changed while it was read; run again when it is complete")
                checksum = file_sha256(partial)
        return StoredVideo(
            file=path.relative_to(self.root).as_posix(),
            bytes=path.stat().st_size,
            sha256=checksum,
            frame_count=info.frame_count,
            width=info.width,
            height=info.height,
            fps=info.fps,
            rotation=info.rotation,
            stored_width=size[1],
            stored_height=size[0],
            frames=frames,
            source_bytes=before[0],
            source_mtime_ns=before[1],
            source_sha256=digest,
            identity=identity,
        )


def wanted_ids(job: Job, info: VideoInfo) -> np.ndarray:
    """The ids to store, int64 [n].

    Raises:
        InputError: the video lacks one of them.
    """
    ids = ids_of(job.frames, info.frame_count)
    if ids is None:
        return np.arange(info.frame_count)
    if ids[-1] >= info.frame_count:
        raise InputError(
            f"{job.source}: frame {ids[-1]} is wanted, but the video has {info.frame_count} frames; "
            "annotations and video do not belong together, or the video is cut short"
        )
    return ids


def source_state(path: pathlib.Path) -> tuple[int, int]:
    """Size in bytes and time of the last change in nanoseconds, which show that a file has changed.

    Raises:
        InputError: there is no such file.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}; check the folder of videos") from error
    return status.st_size, status.st_mtime_ns


def source_sha256(path: pathlib.Path) -> str:
    """Checksum of a video file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return file_sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _tag(frames: str | None, source_sha256: str) -> str:
    """A part of a shard's name that differs for other frames of the same video."""
    return hashlib.sha256(f"{frames} {source_sha256}".encode()).hexdigest()[:8]
