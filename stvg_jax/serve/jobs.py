"""A queue of a server: one job is worked on at a time, the others wait in order."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import secrets
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.progress import Bar, Progress
from stvg_jax.serve.limits import Refusal

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"


class Result(Protocol):
    """Result of a job."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        ...


class Stopped(Exception):
    """Raised within work on a job that nobody waits for any more."""


@dataclasses.dataclass(eq=False, kw_only=True)
class Job:
    """Work and what has become of it.

    Attributes:
        id: cannot be guessed.
        state: WAITING, RUNNING, DONE or FAILED.
        progress: (title, steps done, steps in all) of the current work; no steps are counted if there are 0 in all.
        error: message, if it failed.
        answer: if it is done.
        stopped: whether the work is to end at its next step.
    """

    id: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(12))
    state: str = WAITING
    progress: tuple[str, int, int] = ("", 0, 0)
    error: str | None = None
    answer: Result | None = None
    stopped: bool = False

    def asked(self) -> dict[str, Any]:
        """The request in its JSON form."""
        raise NotImplementedError

    def uses(self, video_id: str) -> bool:
        """True if the job is about the video."""
        return False

    def check_running(self) -> None:
        """Raises Stopped once the job is stopped."""
        if self.stopped:
            raise Stopped

    def to_dict(self, place: int) -> dict[str, Any]:
        """The JSON form; `place` is that of `Jobs.place`."""
        title, done, total = self.progress
        return {
            "id": self.id,
            **self.asked(),
            "state": self.state,
            "place": place,
            "progress": {"title": title, "done": done, "total": total},
            "error": self.error,
            "answer": None if self.answer is None else self.answer.to_dict(),
        }


J = TypeVar("J", bound=Job)


class Jobs(Generic[J]):
    """A queue, and the thread that works through it.

    Args:
        work: does a job; raises InputError if it cannot. Reports of progress raise Stopped once the job is stopped.
        noun: name of a job in messages.
        waiting: the most jobs that may wait.
        kept: the most finished jobs that are kept, the newest.
    """

    def __init__(self, work: Callable[[J, Progress], Result], *, noun: str, waiting: int, kept: int):
        self._work = work
        self._noun = noun
        self._most_waiting = waiting
        self._kept = kept
        self._changed = threading.Condition()
        self._jobs: dict[str, J] = {}
        self._queue: collections.deque[J] = collections.deque()
        self._running: J | None = None
        self._closed = False
        # A daemon: the process may end while a long computation runs.
        self._thread = threading.Thread(target=self._run, name=f"{noun} queue", daemon=True)
        self._thread.start()

    def submit(self, job: J) -> None:
        """Puts a job at the end of the queue; raises Refusal if it is full."""
        with self._changed:
            if len(self._queue) >= self._most_waiting:
                waiting = f"{len(self._queue)} are waiting, and no more are taken"
                raise Refusal(f"the queue of this server is full: {waiting}; try again later", 503)
            self._jobs[job.id] = job
            self._queue.append(job)
            self._changed.notify()

    def get(self, id: str) -> J:
        """The job with this id; raises Refusal if there is none (any more)."""
        with self._changed:
            if (job := self._jobs.get(id)) is None:
                raise Refusal(f"there is no {self._noun} {quoted(id, 40)}; answers are kept for a time: ask again", 404)
            return job

    def place(self, job: J) -> int:
        """Number of jobs that come before this one; 0 once it is worked on."""
        with self._changed:
            return self._queue.index(job) + (self._running is not None) if job in self._queue else 0

    def uses(self, video_id: str) -> bool:
        """True while a job about the video is waiting, or is worked on even though it has been stopped."""
        with self._changed:
            unfinished = [*self._queue, *filter(None, [self._running])]
            return any(job.uses(video_id) for job in unfinished)

    def delete(self, id: str) -> None:
        """Forgets a job and its answer; one that waits leaves the queue, and one that is worked on is stopped."""
        with self._changed:
            job = self.get(id)
            job.stopped = True
            if job in self._queue:
                self._queue.remove(job)
            del self._jobs[id]

    def forget(self, video_id: str) -> None:
        """Forgets the answers about a video."""
        with self._changed:
            for job in self._finished():
                if job.uses(video_id):
                    del self._jobs[job.id]

    def close(self) -> None:
        """Drops what is waiting and stops what is worked on, which is not waited for."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            if self._running is not None:
                self._running.stopped = True
            self._changed.notify()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job.answer = self._work(job, _JobProgress(job))
            except Stopped:
                pass
            except InputError as error:
                job.error = str(error)
            except Exception:
                if self._closed:  # the videos are gone
                    return
                traceback.print_exc(file=sys.stderr)
                job.error = "an error of the server, which its terminal shows; ask about another video or sentence"
            with self._changed:
                job.state = DONE if job.error is None else FAILED
                self._running = None
                finished = self._finished()
                for old in finished[: max(0, len(finished) - self._kept)]:
                    del self._jobs[old.id]

    def _finished(self) -> list[J]:
        return [job for job in self._jobs.values() if job.state in (DONE, FAILED)]

    def _next(self) -> J | None:
        """The next job, marked as running; None when the queue has been closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            if self._closed:
                return None
            self._running = job = self._queue.popleft()
            job.state = RUNNING
            return job


class _JobProgress:
    """Writes progress into a job, and ends the work once it is stopped."""

    def __init__(self, job: Job):
        self._job = job

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[None]:
        self._job.check_running()
        self._job.progress = title, 0, 0
        yield
        self._job.check_running()

    @contextlib.contextmanager
    def bar(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Bar]:
        yield _JobBar(self._job, title, total, done)


class _JobBar(Bar):
    def __init__(self, job: Job, title: str, total: int, done: int):
        self._job, self._title, self._total, self._done = job, title, total, done
        self(0)

    def __call__(self, steps: int = 1) -> None:
        self._job.check_running()
        self._done += steps
        self._job.progress = self._title, self._done, self._total

    def update(self, total: int, note: str) -> None:
        self._total = total
        self(0)
