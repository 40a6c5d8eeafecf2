"""Progress of long work as people see it without a terminal."""

from __future__ import annotations

import pytest

from stvg_jax.core import progress
from stvg_jax.core.progress import Silent, Terminal, duration_text, size_text


@pytest.fixture
def now(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_log_file_gets_a_line_now_and_then(now, capsys):
    with Terminal().bar("evaluating", 1000, "sample", done=600) as step:
        for _ in range(4):
            now[0] += 20
            step(50)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "evaluating: 700 of 1,000 samples, about 2 min left",
        "evaluating: 800 of 1,000 samples, about 80 s left",
        "evaluating (1,000): 80.0 s",
    ]


def test_the_length_of_work_may_change_and_have_a_note(now, capsys):
    with Terminal().bar("storing frames", 1000, "frame") as bar:
        now[0] += 40
        bar(0)
        bar(200)
        bar.update(500, "1/5 videos, 12 MB")
        now[0] += 40
        bar(100)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "storing frames: 200 of 1,000 frames, about 3 min left",
        "storing frames: 300 of 500 frames, 1/5 videos, 12 MB, about 53 s left",
        "storing frames (1,000): 80.0 s",
    ]


def test_a_bar_on_a_terminal_shows_the_note(monkeypatch, capsys):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    with Terminal().bar("storing frames", 10, "frame") as bar:
        bar.update(8, "1/5 videos")
        bar(8)
    assert "8/8" in (printed := capsys.readouterr().err)
    assert "1/5 videos" in printed


def test_short_work_may_go_unreported(now, capsys):
    with Terminal(silent_sec=2).stage("reading a.json"):
        now[0] += 1.9
    with Terminal(silent_sec=2).bar("reading trajectories", 3, "video") as step:
        step(3)
        now[0] += 2
    assert capsys.readouterr().err == "reading trajectories (3): 2.0 s\n"


def test_silence(capsys):
    with Silent().stage("working"), Silent().bar("counting", 2, "thing") as bar:
        bar.update(3, "note")
        bar(2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("size", "text"), [(999, "999 bytes"), (64_400, "64 kB"), (36e6, "36 MB"), (1.2e12, "1,200.0 GB")]
)
def test_sizes(size, text):
    assert size_text(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0 s"), (89, "89 s"), (600, "10 min"), (7200, "2.0 h")])
def test_durations(seconds, text):
    assert duration_text(seconds) == text
