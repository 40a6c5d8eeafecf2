"""Progress of a long run for a waiting person: a bar on a terminal, a line every half minute elsewhere."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

_LINE_SEC = 30.0


class Meter:
    """Counts frames, videos and bytes; a context manager.

    Args:
        title: what is being done.
        frames: how many there will be, as far as is known.
        videos: how many there will be.
    """

    def __init__(self, title: str, frames: int, videos: int) -> None:
        self._title, self._videos = title, videos
        self._start = self._shown = time.monotonic()
        self._done = self._failed = self._frames = self._bytes = 0
        self._bar = tqdm(
            total=frames,
            desc=title,
            unit=" frames",
            unit_scale=True,
            mininterval=0.5,
            smoothing=0.05,
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )
        self._total = frames

    def step(self, frames: int, size: int) -> None:
        """So many more frames and bytes."""
        self._frames += frames
        self._bytes += size
        self._bar.update(frames)
        self._show()

    def finish_video(self, failed: bool = False, missing_frames: int = 0) -> None:
        """One more video; `missing_frames` of those that were expected of it will not come."""
        self._done += 1
        self._failed += failed
        self._total = max(self._total - missing_frames, self._frames)
        self._bar.total = self._total
        self._show()

    def _show(self) -> None:
        failed = f", {self._failed:,} failed" if self._failed else ""
        videos = f"{self._done:,}/{self._videos:,} videos{failed}"
        self._bar.set_postfix_str(f"{videos}, {size_text(self._bytes)}", refresh=False)
        now = time.monotonic()
        if not self._bar.disable or now - self._shown < _LINE_SEC:
            return
        self._shown = now
        rate = self._frames / (now - self._start)
        left = duration_text((self._total - self._frames) / rate) if rate else "?"
        print(
            f"{self._title}: {videos}, {self._frames:,} of {self._total:,} frames, {rate:.0f} frames/s, "
            f"{size_text(self._bytes)}, {left} left",
            file=sys.stderr,
            flush=True,
        )

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


def size_text(size: float) -> str:
    """Bytes for people, in powers of ten as on the labels of disks."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"


def duration_text(seconds: float) -> str:
    """Time for people: "40 s", "12 min", "5.3 h"."""
    seconds = max(seconds, 0)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
