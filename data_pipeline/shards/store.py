"""Stored frames, read by video and number."""

from __future__ import annotations

import collections
import os
import threading
from collections.abc import Sequence

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.shards.entries import StoredVideo
from stvg_jax.data_pipeline.shards.folder import StoreFolder
from stvg_jax.data_pipeline.shards.jpeg import first_stray
from stvg_jax.data_pipeline.shards.records import RecordReader

# Large enough that the threads of a loader rarely close each other's files, which take a descriptor and about 100 kB.
_OPEN_FILES = 64


class FrameStore:
    """The frames that `prepare_frames` has stored. Safe for several threads; a pickled store is opened again.

    Attributes:
        directory: the folder of the store.
        settings: size and compression of the frames.
        videos: every stored video by its name, `Sample.video`.

    Raises:
        InputError: there is no store, or it is unfinished, damaged or of another version.
    """

    def __init__(self, directory: str | os.PathLike) -> None:
        self._folder = StoreFolder(directory)
        self.directory = self._folder.root
        manifest = self._folder.read_manifest()
        if manifest is None:
            raise self._unfinished()
        self.settings = manifest.settings
        self.videos: dict[str, StoredVideo] = manifest.videos
        self._failed = manifest.failed
        self._readers: collections.OrderedDict[str, RecordReader] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple:
        return FrameStore, (self.directory,)

    def read(self, video: str, frame_ids: Sequence[int] | np.ndarray) -> list[bytes]:
        """The JPEG files of frames of a video, in the order of the ids. Only these are read from the shard.

        Args:
            video: name of the video, `Sample.video`.
            frame_ids: [n] ids, counted over the whole video.

        Raises:
            InputError: the video or a frame is not stored, or the shard is missing, damaged or of another video.
        """
        stored = self.videos.get(video)
        if stored is None:
            raise self._absent(video)
        records = stored.records_of(frame_ids)
        ids = np.asarray(frame_ids).reshape(-1)
        if (records < 0).any():
            raise InputError(f"{self.directory}: {_why_not(video, stored, int(ids[records < 0][0]))}")
        try:
            files = self._reader(video, stored).read(records.tolist())
            stray = first_stray(files, stored.identity, ids.tolist())
            if stray is not None:
                raise InputError(
                    f"{self.directory / stored.file}: the record for frame {stray} of {video} is of another frame or "
                    "video; shards have changed places, or one was copied from another store"
                )
        except InputError as error:
            raise InputError(
                f"{error}; run `stvg-jax prepare frames --check`, then the command that prepared the frames again"
            ) from error
        return files

    def _reader(self, video: str, stored: StoredVideo) -> RecordReader:
        with self._lock:
            if video in self._readers:
                self._readers.move_to_end(video)
                return self._readers[video]
        reader = RecordReader(self.directory / stored.file, stored.stored_count)
        with self._lock:
            self._readers[video] = reader
            # A reader that another thread still uses stays open until it is done.
            while len(self._readers) > _OPEN_FILES:
                self._readers.popitem(last=False)
        return reader

    def _unfinished(self) -> InputError:
        asked = self._folder.asked_for()
        if asked is None:
            return InputError(f"{self.directory}: no stored frames here; make them with `stvg-jax prepare frames`")
        done = len(self._folder.read_journal())
        return InputError(
            f"{self.directory}: storing the frames has not finished, {done:,} of {asked:,} videos are there; "
            "run the same `stvg-jax prepare frames` again, it continues"
        )

    def _absent(self, video: str) -> InputError:
        if video in self._failed:
            return InputError(f"{self.directory}: {video} could not be stored ({self._failed[video]})")
        example = f", such as {next(iter(self.videos))}" if self.videos else ""
        return InputError(
            f"{self.directory}: {video} is not among the {len(self.videos):,} stored videos{example}; "
            "store it with `stvg-jax prepare frames` into the same folder"
        )


def _why_not(video: str, stored: StoredVideo, frame_id: int) -> str:
    if not 0 <= frame_id < stored.frame_count:
        return f"there is no frame {frame_id} in {video}; frames are numbered 0 to {stored.frame_count - 1}"
    ids = stored.every_id
    return (
        f"frame {frame_id} of {video} is not stored, only {len(ids)} of its {stored.frame_count} frames are, from "
        f"{ids[0]} to {ids[-1]}; add frames with `stvg-jax prepare frames --frames clips` or `all`"
    )
