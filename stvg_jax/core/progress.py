"""Progress reports of long work."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tqdm import tqdm

# Seconds between two lines about the same work in a log file.
_LINE_SEC = 30.0


class Progress(Protocol):
    """Receiver of progress reports."""

    def stage(self, title: str) -> contextlib.AbstractContextManager[None]:
        """Work of unknown length."""
        ...

    def bar(self, title: str, total: int, unit: str, done: int = 0) -> contextlib.AbstractContextManager[Bar]:
        """Work of `total` steps, `done` of them by an earlier run; the bar entered is called with the steps made."""
        ...


class Bar:
    """A bar that shows nothing."""

    def __call__(self, steps: int = 1) -> None:
        """Reports that so many more steps are done."""

    def update(self, total: int, note: str) -> None:
        """Changes the total number of steps and the short text beside it."""


class Silent:
    """Reports nothing."""

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[None]:
        yield

    @contextlib.contextmanager
    def bar(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Bar]:
        yield Bar()


class Terminal:
    """Reports on standard error: running clocks and tqdm bars on a terminal, lines elsewhere.

    Args:
        silent_sec: work that takes less is not reported.
    """

    def __init__(self, *, silent_sec: float = 0.0) -> None:
        self._silent_sec = silent_sec

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[None]:
        start = time.monotonic()
        done = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(title, start, done), daemon=True)
        ticker.start()
        try:
            yield
        except BaseException:
            done.set()
            ticker.join()
            print(self._return(), end="", file=sys.stderr, flush=True)
            raise
        done.set()
        ticker.join()
        if (took := time.monotonic() - start) >= self._silent_sec:
            print(f"{self._return()}{title}: {took:.1f} s", file=sys.stderr, flush=True)

    def _tick(self, title: str, start: float, done: threading.Event) -> None:
        if not sys.stderr.isatty() or done.wait(self._silent_sec):
            return
        while not done.wait(0.2):
            print(f"{self._return()}{title} ... {time.monotonic() - start:.0f} s", end="", file=sys.stderr, flush=True)

    @staticmethod
    def _return() -> str:
        return "\r\033[K" if sys.stderr.isatty() else ""

    @contextlib.contextmanager
    def bar(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Bar]:
        if not sys.stderr.isatty():
            with self.stage(f"{title} ({total:,})"):
                yield _Lines(title, total, unit, done)
            return
        from tqdm import tqdm

        with tqdm(
            total=total,
            desc=title,
            unit=f" {unit}s",
            initial=done,
            mininterval=0.5,
            delay=self._silent_sec,
            dynamic_ncols=True,
            disable=False,
        ) as bar:
            yield _TerminalBar(bar)


class _TerminalBar(Bar):
    def __init__(self, bar: tqdm) -> None:
        self._bar = bar

    def __call__(self, steps: int = 1) -> None:
        self._bar.update(steps)

    def update(self, total: int, note: str) -> None:
        self._bar.total = total
        self._bar.set_postfix_str(note, refresh=False)


class _Lines(Bar):
    """A bar for log files: a line every `_LINE_SEC` seconds."""

    def __init__(self, title: str, total: int, unit: str, done: int) -> None:
        self._title, self._total, self._unit, self._note = title, total, unit, ""
        self._done = self._before = done
        self._start = self._told = time.monotonic()

    def __call__(self, steps: int = 1) -> None:
        self._done += steps
        now = time.monotonic()
        new = self._done - self._before
        if now - self._told < _LINE_SEC or not new:
            return
        self._told = now
        left = duration_text((now - self._start) / new * (self._total - self._done))
        note = f", {self._note}" if self._note else ""
        text = f"{self._title}: {self._done:,} of {self._total:,} {self._unit}s{note}, about {left} left"
        print(text, file=sys.stderr, flush=True)

    def update(self, total: int, note: str) -> None:
        self._total, self._note = total, note


def duration_text(seconds: float) -> str:
    """Duration for people: "40 s", "12 min", "5.3 h"."""
    seconds = max(seconds, 0)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size_text(size: float) -> str:
    """Size in bytes for people, in powers of ten as on the labels of disks."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"
