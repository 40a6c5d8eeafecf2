"""Windows of a video: overlapping parts of one length, each of which a retrieval model sees as one clip."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from stvg_jax.core.errors import InputError

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.loading.captioned import ShownVideos
    from stvg_jax.data_pipeline.video import VideoInfo, VideoReader

# A day of video, at eleven windows a second.
_MOST_WINDOWS = 1_000_000


@dataclasses.dataclass(frozen=True)
class WindowConfig:
    """Windows of every video of an index.

    Attributes:
        length_sec: length; a shorter video is one window.
        stride_sec: distance between the beginnings of two windows.
    """

    length_sec: float = 10.0
    stride_sec: float = 5.0

    def __post_init__(self) -> None:
        if not 0 < self.length_sec < np.inf:
            raise InputError(f"windows of {self.length_sec} s: the length must be positive")
        if not 0 < self.stride_sec <= self.length_sec:
            raise InputError(
                f"windows {self.stride_sec} s apart: the stride must be positive and at most the length, "
                f"{self.length_sec} s, or parts of the video would never be seen"
            )


@dataclasses.dataclass(frozen=True)
class Window:
    """A part of a video.

    Attributes:
        start, end: frames of the video; `end` is one past the last.
        start_sec, end_sec: its bounds in seconds.
    """

    start: int
    end: int
    start_sec: float
    end_sec: float


def make_windows(info: VideoInfo, config: WindowConfig) -> list[Window]:
    """Windows of a video from its beginning to its end, in order; the last one is moved back so that it is whole.

    Windows without a frame, in a pause of the recording, are left out.

    Raises:
        InputError: there are too many.
    """
    if info.duration_sec / config.stride_sec > _MOST_WINDOWS:
        raise InputError(
            f"{info.path}: {info.duration_sec:.0f} s have more than {_MOST_WINDOWS:,} windows that lie "
            f"{config.stride_sec} s apart; choose a larger stride"
        )
    last = max(info.duration_sec - config.length_sec, 0.0)
    starts = np.append(np.arange(int(np.ceil(last / config.stride_sec))) * config.stride_sec, last)
    windows = []
    for start_sec in starts.tolist():
        end_sec = min(start_sec + config.length_sec, info.duration_sec)
        start, end = np.searchsorted(info.timestamps_sec, (start_sec, end_sec)).tolist()
        if start < end:
            windows.append(Window(start, end, start_sec, end_sec))
    return windows


def read_windows(
    reader: VideoReader,
    windows: Sequence[Window],
    shown: ShownVideos,
    progress: Callable[[int], None] = lambda frames: None,
) -> Iterator[np.ndarray]:
    """Frames of windows as a model sees them, one window after another.

    Every frame is decoded once, whatever the number of windows that show it, and is held until the last of them.

    Args:
        reader: the video.
        windows: in ascending order of their bounds.
        shown: settings of videos that the model sees.
        progress: called with the number of windows that are done.

    Yields:
        uint8 [t, h, w, 3].

    Raises:
        InputError: a damaged video.
    """
    from stvg_jax.data_pipeline.fixed_number import fill_up
    from stvg_jax.data_pipeline.size_rules import get_size_rule

    resample = get_size_rule(shown.sizing).resample
    wanted = [window.start + shown.frame_ids(window.end - window.start) for window in windows]
    waiting = collections.deque(fill_up(ids, shown.frames) for ids in wanted)
    held: dict[int, np.ndarray] = {}
    for number, picture in reader.iter_selected(np.unique(np.concatenate(wanted))):
        held[number] = np.rint(255 * resample(picture, shown.size)).astype(np.uint8)
        while waiting and waiting[0][-1] <= number:
            yield np.stack([held[frame] for frame in waiting.popleft().tolist()])
            progress(1)
            first = min((ids[0] for ids in waiting), default=number)
            held = {frame: picture for frame, picture in held.items() if frame >= first}
