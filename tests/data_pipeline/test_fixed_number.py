"""Frames of retrieval models against those that the release reads."""

import json
from pathlib import Path

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.fixed_number import RULES, choose_frames, fill_up

GOLDEN = json.loads((Path(__file__).parents[1] / "goldens" / "retrieval_frames.json").read_text())


@pytest.mark.parametrize("number", ["8", "16"])
@pytest.mark.parametrize("rule", ["uniform", "middle"])
def test_equals_the_released_frames(rule, number):
    for count, expected in GOLDEN[rule][number].items():
        chosen = choose_frames(int(count), rule=rule, number=int(number))
        assert chosen.dtype == np.int64
        assert fill_up(chosen, int(number)).tolist() == expected


@pytest.mark.parametrize("rule", RULES)
def test_frames_increase_within_the_video(rule):
    rng = np.random.default_rng(0)
    for count in (*range(1, 40), 300):
        for number in (1, 2, 7, 8):
            ids = choose_frames(count, rule=rule, number=number, rng=rng)
            assert ids[0] >= 0 and ids[-1] < count and np.all(np.diff(ids) > 0)
            odd = rule == "headtail" and min(count, number) > 1
            assert len(ids) == min(count, number) // (1 + odd) * (1 + odd)


def test_rules_that_draw():
    rng = np.random.default_rng(0)
    drawn = np.array([choose_frames(80, rule="rand", rng=rng) for _ in range(400)])
    # One of each range of ten, but not its last.
    assert [set(column) for column in drawn.T] == [set(range(10 * k, 10 * k + 9)) for k in range(8)]
    drawn = np.array([choose_frames(20, rule="headtail", rng=rng) for _ in range(100)])
    assert set(drawn[:, :4].flat) == set(range(10)) and set(drawn[:, 4:].flat) == set(range(10, 20))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rule": "headtail"}, "unknown frame rule 'headtail'; choose one of uniform, middle$"),
        ({"rule": "all", "rng": np.random.default_rng(0)}, "choose one of uniform, middle, rand, headtail"),
        ({"rule": "uniform", "number": 0}, "0 of 5 frames cannot be chosen"),
    ],
)
def test_what_cannot_be_chosen(arguments, message):
    with pytest.raises(InputError, match=message):
        choose_frames(5, **arguments)
