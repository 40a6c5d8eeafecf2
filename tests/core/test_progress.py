"""What people see of long work when no terminal is there."""

from __future__ import annotations

from stvg_jax.core import progress


def test_a_log_file_gets_a_line_now_and_then(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.Terminal().bar("evaluating", 1000, "sample", done=600) as step:
        for _ in range(4):
            now[0] += 20
            step(50)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "evaluating: 700 of 1,000 samples, about 120 s left",
        "evaluating: 800 of 1,000 samples, about 80 s left",
        "evaluating (1000): 80.0 s",
    ]
