"""Progress for a waiting person: a bar on a terminal, a line every half minute elsewhere."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

_LINE_SEC = 30.0


class Meter:
    """Called with how many videos are done and how many there will be; a context manager."""

    def __init__(self, title: str):
        self._title = title
        self._shown = time.monotonic()
        self._bar: tqdm | None = None

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            hidden = not sys.stderr.isatty()
            # What an earlier run has made counts as done, but not for the speed.
            self._bar = tqdm(total=total, initial=done - 1, desc=self._title, unit=" videos", disable=hidden)
        self._bar.update(1)
        now = time.monotonic()
        if self._bar.disable and (done == total or now - self._shown >= _LINE_SEC):
            self._shown = now
            print(f"{self._title}: {done}/{total} videos", file=sys.stderr, flush=True)
