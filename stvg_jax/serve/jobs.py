"""Questions of a server: one is answered at a time, the others wait in order."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import secrets
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.progress import Bar, Progress
from stvg_jax.serve.limits import Refusal

if TYPE_CHECKING:
    from stvg_jax.serve.answering import Answer
    from stvg_jax.serve.videos import StoredVideo

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"


@dataclasses.dataclass(eq=False)
class Job:
    """A question and what has become of it.

    Attributes:
        video: the video.
        sentence, subject: as asked; no subject to find it in the sentence.
        start, end: bounds of the part to search in seconds; None for those of the video.
        id: cannot be guessed.
        state: WAITING, RUNNING, DONE or FAILED.
        progress: (title, steps done, steps in all) of the current work; no steps are counted if there are 0 in all.
        error: message, if it failed.
        answer: if it is done.
    """

    video: StoredVideo
    sentence: str
    subject: str | None = None
    start: float | None = None
    end: float | None = None
    id: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(12))
    state: str = WAITING
    progress: tuple[str, int, int] = ("", 0, 0)
    error: str | None = None
    answer: Answer | None = None

    def to_dict(self, place: int) -> dict[str, Any]:
        """The JSON form; `place` is that of `Jobs.place`."""
        title, done, total = self.progress
        return {
            "id": self.id,
            "video": self.video.id,
            "sentence": self.sentence,
            "subject": self.subject,
            "start": self.start,
            "end": self.end,
            "state": self.state,
            "place": place,
            "progress": {"title": title, "done": done, "total": total},
            "error": self.error,
            "answer": None if self.answer is None else self.answer.to_dict(),
        }


class Jobs:
    """A queue, and the thread that works through it.

    Args:
        work: answers a question; raises InputError if it cannot.
        waiting: the most questions that may wait.
        kept: the most finished questions that are kept, the newest.
    """

    def __init__(self, work: Callable[[Job, Progress], Answer], *, waiting: int, kept: int):
        self._work = work
        self._most_waiting = waiting
        self._kept = kept
        self._changed = threading.Condition()
        self._jobs: dict[str, Job] = {}
        self._queue: collections.deque[Job] = collections.deque()
        self._running: Job | None = None
        self._closed = False
        # A daemon: the process may end while a long computation runs.
        self._thread = threading.Thread(target=self._run, name="answers", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Puts a question at the end of the queue; raises Refusal if it is full."""
        with self._changed:
            if len(self._queue) >= self._most_waiting:
                raise Refusal(f"{len(self._queue)} questions are waiting, and no more are taken; try again later", 503)
            self._jobs[job.id] = job
            self._queue.append(job)
            self._changed.notify()

    def get(self, id: str) -> Job:
        """The question with this id; raises Refusal if there is none (any more)."""
        with self._changed:
            if (job := self._jobs.get(id)) is None:
                raise Refusal(f"there is no question {quoted(id, 40)}; answers are kept for a time: ask again", 404)
            return job

    def place(self, job: Job) -> int:
        """Number of questions that are answered before this one; 0 once it is being answered."""
        with self._changed:
            return self._queue.index(job) + (self._running is not None) if job in self._queue else 0

    def uses(self, video_id: str) -> bool:
        """True while a question about the video is waiting or being answered."""
        with self._changed:
            return any(j.video.id == video_id and j.state in (WAITING, RUNNING) for j in self._jobs.values())

    def cancel(self, id: str) -> None:
        """Takes a question out of the queue, or forgets its answer; raises Refusal while it is being answered."""
        with self._changed:
            job = self.get(id)
            if job.state == RUNNING:
                raise Refusal("the question is being answered, which cannot be stopped; delete it afterwards", 409)
            if job in self._queue:
                self._queue.remove(job)
            del self._jobs[id]

    def forget(self, video_id: str) -> None:
        """Forgets the answers about a video."""
        with self._changed:
            finished = [
                id for id, job in self._jobs.items() if job.video.id == video_id and job.state in (DONE, FAILED)
            ]
            for id in finished:
                del self._jobs[id]

    def close(self) -> None:
        """Drops what is waiting. The question that is being answered is not waited for."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job.answer = self._work(job, _JobProgress(job))
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
                finished = [other.id for other in self._jobs.values() if other.state in (DONE, FAILED)]
                for id in finished[: max(0, len(finished) - self._kept)]:
                    del self._jobs[id]

    def _next(self) -> Job | None:
        """The next question, marked as running; None when the queue has been closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            if self._closed:
                return None
            self._running = job = self._queue.popleft()
            job.state = RUNNING
            return job


class _JobProgress:
    """Writes progress into a question."""

    def __init__(self, job: Job):
        self._job = job

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[None]:
        self._job.progress = title, 0, 0
        yield

    @contextlib.contextmanager
    def bar(self, title: str, total: int, unit: str, done: int = 0) -> Iterator[Bar]:
        yield _JobBar(self._job, title, total, done)


class _JobBar(Bar):
    def __init__(self, job: Job, title: str, total: int, done: int):
        self._job, self._title, self._total, self._done = job, title, total, done
        self(0)

    def __call__(self, steps: int = 1) -> None:
        self._done += steps
        self._job.progress = self._title, self._done, self._total

    def update(self, total: int, note: str) -> None:
        self._total = total
        self(0)
