"""What a waiting person is told."""

import pytest

from stvg_jax.data_pipeline.shards import meter
from stvg_jax.data_pipeline.shards.meter import Meter, duration_text, size_text


def test_elsewhere_than_on_a_terminal_there_are_lines_with_the_time_left(capsys, monkeypatch):
    monkeypatch.setattr(meter, "_LINE_SEC", 0.0)
    clock = iter(range(100))
    monkeypatch.setattr(meter.time, "monotonic", lambda: next(clock) * 10.0)
    with Meter("storing frames", 1000, 5) as bar:
        bar.step(200, 12_000_000)
        bar.finish_video(failed=True, missing_frames=500)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "storing frames: 0/5 videos, 200 of 1,000 frames, 20 frames/s, 12 MB, 40 s left"
    assert second == "storing frames: 1/5 videos, 1 failed, 200 of 500 frames, 10 frames/s, 12 MB, 30 s left"


@pytest.mark.parametrize(
    ("size", "text"), [(999, "999 bytes"), (64_400, "64 kB"), (36e6, "36 MB"), (1.2e12, "1,200.0 GB")]
)
def test_sizes(size, text):
    assert size_text(size) == text


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0 s"), (89, "89 s"), (600, "10 min"), (7200, "2.0 h")])
def test_durations(seconds, text):
    assert duration_text(seconds) == text
