"""Pictures of fixed samples."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from stvg_jax.eval.examples import draw_examples, spread
from stvg_jax.inference.draw.colours import BOX_COLOUR, TRUTH_COLOUR
from tests.eval.cases import make_frames, make_set


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
