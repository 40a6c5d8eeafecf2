"""Pictures of fixed samples."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from stvg_jax.grounding.evaluation.examples import draw_examples, spread
from stvg_jax.grounding.evaluation.records import Record
from stvg_jax.grounding.inference import draw
from stvg_jax.grounding.inference.draw.pixels import BOX_COLOUR, TRUTH_COLOUR
from tests.grounding.evaluation.cases import make_frames, make_prediction, make_sample, make_scores, make_set


@pytest.mark.parametrize(
    ("length", "count", "expected"), [(1160, 4, [145, 435, 725, 1015]), (3, 4, [0, 1, 2]), (1, 1, [0]), (5, 0, [])]
)
def test_examples_are_spread_over_the_split(length, count, expected):
    assert spread(length, count) == expected


def longest_run(marks: np.ndarray) -> int:
    """Of True in any row of bool [h, w]."""
    gaps = np.flatnonzero(~np.pad(marks, ((0, 0), (1, 1))).ravel())
    return int(np.diff(gaps).max()) - 1


def test_a_picture_has_both_boxes_and_both_intervals(tmp_path):
    samples, records = make_set(3)
    asked = []

    def frames(video, ids):
        asked.append(video)
        return make_frames(video, ids)

    draw_examples(tmp_path / "examples", records, samples, frames, lambda video: 12.5, 2)
    assert asked == [records[0].video, records[2].video]
    assert sorted(file.name for file in (tmp_path / "examples").iterdir()) == ["01.png", "02.png"]
    picture = np.asarray(Image.open(tmp_path / "examples" / "02.png").convert("RGB")).astype(int)
    # The bars are the longest runs of both colours in a row of pixels.
    lengths = [longest_run(abs(picture - colour).max(axis=2) < 8) for colour in (BOX_COLOUR, TRUTH_COLOUR)]
    start, end = records[2].prediction.interval
    first, last = records[2].true_interval
    assert lengths[0] / lengths[1] == pytest.approx((end - start) / (last - first), rel=0.05)


def test_what_is_drawn_of_a_record(tmp_path, monkeypatch):
    """At 10 frames per second; sampled frames 12, 14 ... 30, and a truth that begins before and ends within them."""
    drawn = []
    monkeypatch.setattr(draw, "draw_picture", lambda *args, **options: drawn.append((args, options)))
    boxes = np.array([[k, 0, k + 10, 10] for k in range(10)], np.float64)
    sample = make_sample("7", (8, 18), boxes)
    frames = np.arange(12, 31, 2)
    record = Record.of(sample, make_prediction((14, 25), frames=frames), make_scores(frames, (14, 25)))
    draw_examples(tmp_path, [record], {"7": sample}, make_frames, lambda video: 10.0, 1)
    (((tube, pictures, path), options),) = drawn
    assert path == tmp_path / "01.png"
    assert (tube.video, tube.sentence, tube.subject) == (sample.video, sample.sentence, sample.subject)
    assert (tube.width, tube.height, tube.fps) == (320, 180, 10.0)
    assert (tube.clip, tube.start_frame, tube.end_frame) == ((8, 31), 14, 25)
    assert (tube.start_sec, tube.end_sec) == (1.4, 2.5)
    assert tube.box_frames.tolist() == list(range(12, 31))
    assert tube.boxes_xyxy.dtype == np.float32
    assert list(pictures) == [12, 14, 18, 20, 22, 24]
    assert options["true_interval"] == (8, 18)
    assert {frame: box.tolist() for frame, box in options["true_boxes_xyxy"].items()} == {
        8 + k: box.tolist() for k, box in enumerate(boxes)
    }


def test_up_to_eight_frames_are_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(draw, "draw_picture", lambda tube, pictures, *_, **__: drawn.append(list(pictures)))
    scores = make_scores(np.arange(60), (0, 32))
    record = Record.of(make_sample("7", (0, 32)), make_prediction((0, 32)), scores)
    draw_examples(tmp_path, [record], {"7": make_sample("7", (0, 32))}, make_frames, lambda video: 10.0, 3)
    assert drawn == [[1, 5, 9, 13, 17, 21, 25, 29]]
