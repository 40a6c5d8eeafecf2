"""Windows of a long video: overlapping parts of its sampled frames, each a clip as the model was trained on."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from stvg_jax.core.arguments import check_whole
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.grounding.inference.trained import TrainedClip

T = TypeVar("T")

AUTO = "auto"
# Times are known to a microsecond.
_SLACK_SEC = 1e-6


@dataclasses.dataclass(frozen=True)
class Windows:
    """Windows in a video.

    Attributes:
        length_sec: length of each.
        stride_sec: distance between the beginnings of two windows.
    """

    length_sec: float
    stride_sec: float

    @classmethod
    def of(cls, window: float | str, stride: float | None, trained: TrainedClip) -> Windows:
        """Windows as asked for.

        Args:
            window: seconds, or "auto" for those of a clip of the training.
            stride: seconds; None for half of the length.
            trained: clips that the model was trained on.

        Raises:
            InputError: a value of a wrong type or size, or a stride that is longer than the windows.
        """
        length = trained.sec if window == AUTO else _seconds("window", window, ' or "auto"')
        step = length / 2 if stride is None else _seconds("stride", stride)
        least = trained.spacing_sec
        if length < 2 * least or step < least:
            raise InputError(
                f"window {length:g}, stride {step:g}: must be at least {2 * least:g} and {least:g} s, two sampled "
                "frames and one"
            )
        if length > trained.sec:
            raise InputError(
                f"window {length:g}: must be at most {trained.sec:g} s, the length of a clip of the training"
            )
        if step > length:
            raise InputError(
                f"stride {step:g}: must be at most the window of {length:g} s, or parts of the video are never searched"
            )
        return cls(length, step)

    def spans(self, count: int, spacing_sec: float, passes: int) -> list[tuple[int, int]]:
        """(start, end) positions of each window among `count` sampled frames.

        All have the same number of frames, a multiple of `passes`, so that one program serves them; the last one is
        moved back to the end. Fewer frames are one window.

        Args:
            count: number of sampled frames, at least 1.
            spacing_sec: seconds from one to the next.
            passes: passes that share the frames of a window.
        """
        length, step = (
            passes * max(1, round(sec / spacing_sec / passes)) for sec in (self.length_sec, self.stride_sec)
        )
        if count <= length:
            return [(0, count)]
        starts = [*range(0, count - length, step), count - length]
        return [(start, start + length) for start in starts]

    @staticmethod
    def part(spans: list[tuple[int, int]], joins: bool) -> int:
        """Number of frames that backbones see at once: those from the beginning of a window to that of the next one,
        where windows are made of such parts; else all of a window.

        Args:
            spans: of `spans`.
            joins: whether features of parts can be joined.
        """
        length = spans[0][1]
        step = spans[1][0] if joins and len(spans) > 2 else length
        return length if length % step else step


class Parts:
    """Features of the parts of windows, each computed once and held as long as a window has it.

    Args:
        part: number of frames of a part.
        encode: function from the frames of a part, int64 [m], and their pixels to its features.
    """

    def __init__(self, part: int, encode: Callable[[np.ndarray, np.ndarray], Any]):
        self._part, self._encode = part, encode
        self._held: dict[int, Any] = {}

    def of(self, begin: int, frames: np.ndarray, pixels: np.ndarray) -> list[Any]:
        """Features of the parts of a window, in order of time.

        Args:
            begin: position of its first frame; not before that of an earlier window.
            frames: int64 [n], a multiple of `part`.
            pixels: float32 [n, h, w, 3].
        """
        self._held = {start: features for start, features in self._held.items() if start >= begin}
        starts = range(begin, begin + len(frames), self._part)
        for start in starts:
            if start not in self._held:
                chosen = slice(start - begin, start - begin + self._part)
                self._held[start] = self._encode(frames[chosen], pixels[chosen])
        return [self._held[start] for start in starts]


def check_windows(window: object, stride: object, top: int) -> None:
    """Raises InputError for options of windows where `window` is None, and for a number of moments that cannot be."""
    if check_whole("top", top) < 1:
        raise InputError(f"top {top}: must be at least 1 moment")
    if window is None and (stride is not None or top != 1):
        raise InputError("stride and top are for a search in windows; give their length too (--window auto)")


def _seconds(name: str, value: object, other: str = "") -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < float(value) < math.inf:
        shown = quoted(value) if isinstance(value, str) else str(value)[:40]
        raise InputError(f"{name} {shown}: must be a positive number of seconds{other}")
    return float(value)


def sampled_frames(timestamps_sec: np.ndarray, start: int, end: int, spacing_sec: float) -> np.ndarray:
    """The frames from `start` to `end` - 1 that a model sees: int64 [n], ascending, n >= 1.

    They are the first ones to begin at or after times that lie `spacing_sec` apart, so that their density is that of
    training, whatever the length; all of a slower video.

    Args:
        timestamps_sec: float64 [frames of the video], start of each frame.
        start, end: part of the video.
        spacing_sec: seconds from one sampled frame to the next.
    """
    times = timestamps_sec[start:end]
    # A frame counts if one of the times lies between the frame before it and itself.
    passed = np.floor((times - times[0] + _SLACK_SEC) / spacing_sec)
    return start + np.flatnonzero(np.diff(passed, prepend=-1) > 0)


def iter_windows(
    spans: list[tuple[int, int]], ids: np.ndarray, load: Callable[[np.ndarray], np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Frames of windows, one after another. Each frame is loaded once, and held until the last window that has it.

    Args:
        spans: (start, end) positions in `ids`, in ascending order.
        ids: int64 [n], sampled frames.
        load: function from some of them to their pixels, [m, h, w, 3].

    Yields:
        The frames of a window, int64 [m], and their pixels.
    """
    held, begin = None, 0
    for start, end in spans:
        if held is None:
            held = load(ids[start:end])
        else:
            fresh = load(ids[begin + len(held) : end])
            held = np.concatenate([held[start - begin :], fresh])
        begin = start
        yield ids[start:end], held


def one_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items, each made on a thread while the one before it is in use. None is being made after `close`."""
    end = object()
    pool = ThreadPoolExecutor(1)
    try:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item  # type: ignore[misc]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
