"""Worker processes with one job at a time. If one dies, only its job fails."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import errno
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from stvg_jax.core.errors import InputError, first_line

_REPORT_SEC = 0.5
_STOP_SEC = 5.0
# Errors that all jobs would meet: going on would only lengthen the list of failures.
_FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Outcome of a job: its result, or the reason why there is none.

    Attributes:
        fatal: whether other jobs would fail for the same reason.
    """

    job: Any
    result: Any = None
    reason: str | None = None
    fatal: bool = False


@dataclasses.dataclass(frozen=True)
class Step:
    """Frames and bytes that a worker has done since its last report."""

    frames: int
    bytes: int


def run_jobs(
    function: Callable[[Any, Callable[[int, int], None]], Any], jobs: Iterable[Any], count: int
) -> Generator[Outcome | Step, None, None]:
    """Calls `function(job, progress)` in new processes; yields steps, and one outcome per job, as they come.

    The processes are ended when the iterator is closed, and end by themselves when this process dies. They are spawned,
    so a program that calls this needs the usual `if __name__ == "__main__"`.

    Args:
        function: calls `progress(frames, bytes)` during its work; it, the jobs and the results can be pickled.
        count: number of processes.
    """
    todo = collections.deque(jobs)
    workers: dict[Connection, _Worker] = {}
    try:
        while todo or workers:
            while todo and len(workers) < count:
                worker = _Worker(function)
                workers[worker.connection] = worker
                worker.give(todo.popleft())
            ready = wait(list(workers))
            for connection in [connection for connection in workers if connection in ready]:
                worker = workers[connection]
                try:
                    message = connection.recv()
                except (EOFError, OSError):
                    message = worker.death()
                    del workers[connection]
                else:
                    if isinstance(message, Outcome) and todo:
                        worker.give(todo.popleft())
                    elif isinstance(message, Outcome):
                        worker.end()
                        del workers[connection]
                yield message
    finally:
        for worker in workers.values():
            worker.process.terminate()
        for worker in workers.values():
            worker.end()


class _Worker:
    """One process, and the job that it works on."""

    def __init__(self, function: Callable) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, function), daemon=True)
        # Ctrl-C reaches all processes of the terminal. Blocked here, it stays blocked in the new process, which this
        # one ends in an orderly way. The tracker would start with the first process and unblock it.
        resource_tracker.ensure_running()
        previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous)
        # With no copy left here, the death of the process ends the connection.
        theirs.close()

    def give(self, job: Any) -> None:
        self.job = job
        # If the process has died, this is noticed when its answer is read.
        with contextlib.suppress(OSError):
            self.connection.send(job)

    def death(self) -> Outcome:
        self.end()
        code = self.process.exitcode
        how = f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with {code}"
        advice = "use fewer processes if memory ran out"
        return Outcome(self.job, reason=f"the process that worked on it {how}; run again, and {advice}")

    def end(self) -> None:
        self.connection.close()
        self.process.join(_STOP_SEC)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _serve(connection: Connection, function: Callable) -> None:
    threading.Thread(target=_die_with_parent, daemon=True).start()
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        connection.send(_attempt(function, job, connection))


def _die_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        wait([parent.sentinel])
        os._exit(1)


def _attempt(function: Callable, job: Any, connection: Connection) -> Outcome:
    steps = _Steps(connection)
    try:
        result = function(job, steps.add)
    except InputError as error:
        return Outcome(job, reason=str(error))
    except OSError as error:
        where = f" ({os.fsdecode(error.filename)})" if isinstance(error.filename, (str, bytes)) else ""
        return Outcome(job, reason=f"{error.strerror or first_line(error)}{where}", fatal=error.errno in _FATAL)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(place.filename)}, line {place.lineno}"
        return Outcome(job, reason=f"unexpected {type(error).__name__}: {first_line(error)} ({where})")
    finally:
        steps.send()
    return Outcome(job, result=result)


class _Steps:
    """Collects steps and sends them from time to time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._frames = self._bytes = 0
        self._sent = time.monotonic()

    def add(self, frames: int, size: int) -> None:
        self._frames += frames
        self._bytes += size
        if time.monotonic() - self._sent > _REPORT_SEC:
            self.send()

    def send(self) -> None:
        if self._frames:
            self._connection.send(Step(self._frames, self._bytes))
        self._frames = self._bytes = 0
        self._sent = time.monotonic()
