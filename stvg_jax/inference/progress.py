"""Telling a waiting person what is going on."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from typing import Protocol

from tqdm import tqdm


class Progress(Protocol):
    """What long work reports to."""

    def stage(self, title: str) -> contextlib.AbstractContextManager[None]:
        """Work of unknown length."""
        ...

    def bar(self, title: str, total: int, unit: str) -> contextlib.AbstractContextManager:
        """Work of known length; the value entered is called with each step's size."""
        ...


class Silent:
    """Reports nothing."""

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[None]:
        yield

    @contextlib.contextmanager
    def bar(self, title: str, total: int, unit: str) -> Iterator:
        yield lambda steps=1: None


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
    def bar(self, title: str, total: int, unit: str) -> Iterator:
        if not sys.stderr.isatty():
            with self.stage(f"{title} ({total})"):
                yield lambda steps=1: None
            return
        with tqdm(total=total, desc=title, unit=unit, mininterval=0.5) as bar:
            yield bar.update
