"""Frame sampling against the frames that the released TA-STVG evaluation samples."""

import json
import pathlib

import numpy as np
import pytest

from data_pipeline.sampling import evaluation_frame_ids, interleave
from stvg_jax.errors import InputError

GOLDENS = json.loads((pathlib.Path(__file__).parents[1] / "goldens" / "sampling.json").read_text())


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda g: f"{g['rule']}-{g['frame_count']}-{g['first']}")
def test_equals_the_released_evaluation(golden):
    ids = evaluation_frame_ids(golden["frame_count"], golden["rule"], golden["first"])
    assert ids.dtype == np.int64
    assert ids.tolist() == golden["frame_ids"]


@pytest.mark.parametrize("rule", ["hcstvg", "vidstg"])
def test_ids_increase_within_the_clip_for_every_length(rule):
    for count in range(1, 700):
        ids = evaluation_frame_ids(count, rule, first=5)
        assert ids[0] == 5
        assert ids[-1] == 5 + (max(count - 2, 0) if rule == "hcstvg" else count - 1)
        assert np.all(np.diff(ids) > 0)
        assert len(ids) <= (129 if rule == "hcstvg" else 128)


@pytest.mark.parametrize(
    ("count", "rule", "expected"),
    [(1, "hcstvg", [0]), (2, "hcstvg", [0]), (3, "hcstvg", [0, 1]), (1, "vidstg", [0]), (2, "vidstg", [0, 1])],
)
def test_very_short_clips(count, rule, expected):
    assert evaluation_frame_ids(count, rule).tolist() == expected


def test_frames_per_pass_and_rate_are_parameters():
    assert evaluation_frame_ids(100, "vidstg", frames_per_pass=2).tolist() == [0, 33, 66, 99]
    # 40 frames count as 20 s: 0.5 frames per second in each of two passes take every second frame, and the last.
    assert evaluation_frame_ids(40, "hcstvg", sample_fps=0.5).tolist() == [*range(0, 39, 2)]


def test_interleave_takes_even_and_odd_positions():
    even, odd = interleave(np.array([3, 5, 8, 9, 20]))
    assert even.tolist() == [3, 8, 20]
    assert odd.tolist() == [5, 9]


def test_interleave_shows_a_single_frame_to_both_passes():
    even, odd = interleave(np.array([7]))
    assert even.tolist() == odd.tolist() == [7]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frame_count": 10, "rule": "ava"}, "'ava'; choose one of hcstvg, vidstg"),
        ({"frame_count": 0, "rule": "hcstvg"}, "0 frames"),
        ({"frame_count": 3, "rule": "vidstg", "first": -1}, "from frame -1"),
        ({"frame_count": 3, "rule": "vidstg", "frames_per_pass": 0}, "frames_per_pass=0"),
        ({"frame_count": 3, "rule": "hcstvg", "sample_fps": float("nan")}, "sample_fps=nan"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        evaluation_frame_ids(**arguments)
