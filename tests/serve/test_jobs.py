"""The queue of questions."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.serve.answering import Question
from stvg_jax.serve.jobs import DONE, FAILED, RUNNING, WAITING, Jobs
from stvg_jax.serve.limits import Refusal
from stvg_jax.serve.videos import StoredVideo

VIDEO: Any = StoredVideo("v", "a.mp4", Path("a.mp4"), 1, 8, 8, 10.0, 1.0)


class Gate:
    """Work that begins when it is asked for and ends when it is let through."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Semaphore(0), threading.Semaphore(0)
        self.order: list[str] = []

    def __call__(self, job: Question, progress) -> Any:
        with progress.bar("reading frames", 4, "frame") as step:
            step(3)
            self.begun.release()
            assert self.open.acquire(timeout=30)
            step()
        self.order.append(job.sentence)
        if job.sentence == "bad":
            raise InputError("bad is not a sentence")
        if job.sentence == "broken":
            raise RuntimeError("of the model")
        return None


def wait_for(job: Question) -> None:
    for _ in range(3_000):
        if job.state in (DONE, FAILED):
            return
        time.sleep(0.01)
    raise AssertionError(job)


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def jobs(gate):
    jobs = Jobs(gate, noun="question", waiting=2, kept=2)
    yield jobs
    jobs.close()
    gate.open.release(10)


def test_questions_are_answered_in_order_and_know_their_place(jobs, gate):
    first, second, third = (Question(VIDEO, sentence) for sentence in ("first", "second", "third"))
    jobs.submit(first)
    assert gate.begun.acquire(timeout=30)
    jobs.submit(second)
    jobs.submit(third)
    assert [jobs.place(job) for job in (first, second, third)] == [0, 1, 2]
    assert [job.state for job in (first, second, third)] == [RUNNING, WAITING, WAITING]
    assert first.progress == ("reading frames", 3, 4)
    gate.open.release(3)
    for job in (first, second, third):
        wait_for(job)
    assert gate.order == ["first", "second", "third"]


def test_a_full_queue_takes_no_more(jobs, gate):
    jobs.submit(Question(VIDEO, "running"))
    assert gate.begun.acquire(timeout=30)
    jobs.submit(Question(VIDEO, "a"))
    waiting = Question(VIDEO, "b")
    jobs.submit(waiting)
    with pytest.raises(Refusal, match="2 are waiting") as refused:
        jobs.submit(Question(VIDEO, "c"))
    assert refused.value.status == 503
    jobs.delete(waiting.id)
    jobs.submit(Question(VIDEO, "c"))


def test_a_question_that_fails_does_not_end_the_queue(jobs, gate, capsys):
    bad, broken = Question(VIDEO, "bad"), Question(VIDEO, "broken")
    jobs.submit(bad)
    jobs.submit(broken)
    gate.open.release(2)
    wait_for(broken)
    assert (bad.state, bad.error) == (FAILED, "bad is not a sentence")
    assert broken.error == "an error of the server, which its terminal shows; ask about another video or sentence"
    assert "RuntimeError: of the model" in capsys.readouterr().err


def test_the_newest_answers_are_kept(jobs, gate):
    gate.open.release(3)
    asked = [Question(VIDEO, sentence) for sentence in "abc"]
    for job in asked:
        jobs.submit(job)
        wait_for(job)
    with pytest.raises(Refusal, match="there is no question"):
        jobs.get(asked[0].id)
    assert jobs.get(asked[2].id) is asked[2]
    jobs.forget("v")
    with pytest.raises(Refusal):
        jobs.get(asked[2].id)


def test_a_running_question_is_stopped_at_its_next_step(jobs, gate):
    job, next = Question(VIDEO, "long"), Question(VIDEO, "next")
    jobs.submit(job)
    assert gate.begun.acquire(timeout=30)
    jobs.submit(next)
    jobs.delete(job.id)
    with pytest.raises(Refusal, match="there is no question"):
        jobs.get(job.id)
    # Its file is read until then.
    assert jobs.uses("v")
    assert jobs.place(next) == 1
    gate.open.release(2)
    wait_for(next)
    assert gate.order == ["next"]
    assert job.answer is None
    assert not jobs.uses("v")


def test_a_queue_that_is_closed_stops_what_runs(jobs, gate, capsys):
    jobs.submit(Question(VIDEO, "long"))
    assert gate.begun.acquire(timeout=30)
    jobs.close()
    gate.open.release()
    jobs._thread.join(30)
    assert not jobs._thread.is_alive()
    assert gate.order == []
    assert capsys.readouterr().err == ""
