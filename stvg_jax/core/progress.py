"""Telling a waiting person what is going on."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import Protocol

from tqdm import tqdm

# Between two lines about the same work in a log file.
_LINE_SEC = 30.0


class Progress(Protocol):
    """What long work reports to."""

    def stage(self, title: str) -> contextlib.AbstractContextManager[None]:
        """Work of unknown length."""
        ...

    def bar(self, title: str, total: int, unit: str, done: int = 0) -> contextlib.AbstractContextManager:
        """Work of known length, some of it done already; the value entered is called with each step's size."""
        ...


class Silent:
    """Reports nothing."""

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[None]:
        yield

    @contextlib.contextmanager
    def bar(self, title: str, total: int, unit: str, done: int = 0) -> Iterator:
        yield lambda steps=1: None


class _Lines:
    """What a bar is in a log file: a line now and then."""

    def __init__(self, title: str, total: int, unit: str, done: int):
        self._title, self._total, self._unit = title, total, unit
        self._done = self._before = done
        self._start = self._told = time.monotonic()

    def __call__(self, steps: int = 1) -> None:
        self._done += steps
        now = time.monotonic()
        if now - self._told < _LINE_SEC:
            return
        self._told = now
        left = (now - self._start) / (self._done - self._before) * (self._total - self._done)
        text = f"{self._title}: {self._done:,} of {self._total:,} {self._unit}s, about {left:.0f} s left"
        print(text, file=sys.stderr, flush=True)


class Terminal:
    """Reports on standard error: a running clock for stages and tqdm bars on a terminal, a line each elsewhere."""

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
        print(f"{self._return()}{title}: {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)

    def _tick(self, title: str, start: float, done: threading.Event) -> None:
        if not sys.stderr.isatty():
            return
        while not done.wait(0.2):
            print(f"{self._return()}{title} ... {time.monotonic() - start:.0f} s", end="", file=sys.stderr, flush=True)

    @staticmethod
    def _return() -> str:
        return "\r\033[K" if sys.stderr.isatty() else ""

    @contextlib.contextmanager
    def bar(self, title: str, total: int, unit: str, done: int = 0) -> Iterator:
        if not sys.stderr.isatty():
            with self.stage(f"{title} ({total})"):
                yield _Lines(title, total, unit, done)
            return
        with tqdm(total=total, desc=title, unit=unit, initial=done, mininterval=0.5, disable=False) as bar:
            yield bar.update
