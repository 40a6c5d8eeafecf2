"""The interface of all decoders: a description of the video, and its frames by number."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from stvg_jax.core.errors import InputError


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """Description of a video file, as displayed.

    Attributes:
        path: the file.
        width, height: pixels of a displayed frame, after cropping and turning.
        fps: average displayed frames per second.
        frame_count: number of frames that can be shown; ids run from 0 to frame_count - 1 in display order.
        duration_sec: seconds from the beginning of the first frame to the end of the last.
        rotation: degrees counter-clockwise by which decoded pictures are turned for display: 0, 90, 180 or 270.
        mirrored: whether the turned pictures are then mirrored, left for right.
        timestamps_sec: float64 [frame_count], seconds from the first frame to each frame.
    """

    path: pathlib.Path
    width: int
    height: int
    fps: float
    frame_count: int
    duration_sec: float
    rotation: int
    mirrored: bool
    timestamps_sec: np.ndarray = dataclasses.field(repr=False, compare=False)


class VideoReader:
    """Reads displayed frames by number. Made by `open_video`; a context manager; not safe for several threads.

    Attributes:
        info: the `VideoInfo` of the file.
    """

    info: VideoInfo

    def read(self, frame_ids: Sequence[int] | np.ndarray, progress: Callable[[int], None] | None = None) -> np.ndarray:
        """The frames with these ids, in this order: uint8 [n, height, width, 3], RGB.

        Args:
            frame_ids: ids in any order, repeats allowed; each is decoded once.
            progress: called with 1 after each distinct frame.

        Raises:
            InputError: an id outside 0 .. frame_count - 1, or a damaged file.
        """
        wanted = self._checked(frame_ids)
        unique, places = np.unique(wanted, return_inverse=True)
        frames = np.empty((len(wanted), self.info.height, self.info.width, 3), np.uint8)
        order = np.argsort(places, kind="stable")
        ends = np.cumsum(np.bincount(places, minlength=len(unique)))
        for position, (_, picture) in enumerate(self.iter_selected(unique)):
            frames[order[ends[position - 1] if position else 0 : ends[position]]] = picture
            if progress is not None:
                progress(1)
        return frames

    def iter_selected(self, frame_ids: Sequence[int] | np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yields (id, uint8 [height, width, 3] RGB) for every distinct id, ascending, holding one frame at a time.

        Raises:
            InputError: as `read`; a damaged file raises when the damaged frame is reached.
        """
        yield from self._decode([int(i) for i in np.unique(self._checked(frame_ids))])

    def iter_frames(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yields (id, uint8 [height, width, 3] RGB) for the ids from `start` to `end` - 1.

        Raises:
            InputError: as `iter_selected`.
        """
        yield from self.iter_selected(range(start, self.info.frame_count if end is None else end))

    def close(self) -> None:
        """Releases the file and the decoder. It may be called again."""

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _decode(self, ids: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        raise NotImplementedError

    def _checked(self, frame_ids: Sequence[int] | np.ndarray) -> np.ndarray:
        ids = np.asarray(frame_ids)
        if ids.size == 0:
            return np.zeros(0, np.int64)
        if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
            raise InputError(f"frame ids must be a list of whole numbers, not {ids.dtype} of shape {ids.shape}")
        last = self.info.frame_count - 1
        outside = ids[(ids < 0) | (ids > last)]
        if outside.size:
            raise InputError(f"{self.info.path}: there is no frame {outside[0]}; frames are numbered 0 to {last}")
        return ids.astype(np.int64)
