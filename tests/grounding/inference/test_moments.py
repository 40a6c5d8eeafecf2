"""Moments from the answers of windows: ranked, joined over borders, and kept in a bounded memory."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.grounding.inference.moments import Collector, as_moment, best_tubes, score
from stvg_jax.grounding.inference.tube import FrameScores, Tube
from stvg_jax.grounding.types import GroundingOutput

LEFT, RIGHT = (0.0, 0.0, 10.0, 10.0), (50.0, 0.0, 60.0, 10.0)
LENGTH, FPS = 40, 10.0


def window(start: int, first: int, end: int, box=LEFT) -> Tube:
    """The answer `first`:`end` of the window of 40 frames, every other of them sampled, from `start` on."""
    frames = np.arange(start, start + LENGTH, 2)
    every = np.arange(start, start + LENGTH - 1)
    ones = np.ones(len(frames))
    return Tube(
        video="a.mp4",
        sentence="the man",
        subject="the man",
        width=100,
        height=50,
        fps=FPS,
        clip=(start, start + LENGTH),
        start_frame=first,
        end_frame=end,
        start_sec=first / FPS,
        end_sec=end / FPS,
        box_frames=every,
        boxes_xyxy=np.array(box) + 0.1 * every[:, None],
        scores=FrameScores(frames, ones, frames / 1000, ones, ones, np.arange(len(frames)) % 2),
    )


def intervals(found):
    return [(tube.start_frame, tube.end_frame, score) for tube, score in found]


def test_the_best_come_first_and_share_no_frame():
    answers = [window(0, 5, 15), window(20, 25, 35), window(40, 33, 60), window(80, 90, 99)]
    found = best_tubes(answers, [0.5, 0.4, 0.9, 0.7], top=5)
    assert intervals(found) == [(33, 60, 0.9), (90, 99, 0.7), (5, 15, 0.5)]
    assert intervals(best_tubes(answers, [0.5, 0.4, 0.9, 0.7], top=2)) == [(33, 60, 0.9), (90, 99, 0.7)]


def test_an_interval_that_is_cut_off_goes_on_in_the_next_window():
    answers = [window(0, 30, 39), window(20, 30, 59), window(40, 40, 70), window(60, 60, 70)]
    ((tube, score),) = best_tubes(answers, [0.9, 0.8, 0.7, 0.1], top=5)
    assert (tube.start_frame, tube.end_frame, score) == (30, 70, 0.9)
    assert (tube.start_sec, tube.end_sec) == (3.0, 7.0)
    assert tube.clip == (0, 80)
    assert tube.box_frames.tolist() == list(range(79))
    np.testing.assert_allclose(tube.boxes_xyxy, np.array(LEFT) + 0.1 * np.arange(79)[:, None], rtol=1e-6)
    assert tube.scores.frames.tolist() == list(range(0, 80, 2))
    np.testing.assert_allclose(tube.scores.actioness, np.arange(0, 80, 2) / 1000, rtol=1e-6)


def test_a_whole_interval_takes_nothing_from_the_next_window():
    """A window that sees the rest of an event says little about its end."""
    found = best_tubes([window(0, 25, 33), window(20, 25, 58)], [0.9, 0.8], top=5)
    assert intervals(found) == [(25, 33, 0.9)]
    assert found[0][0] == window(0, 25, 33)


def test_another_thing_is_not_joined():
    found = best_tubes([window(0, 30, 39), window(20, 30, 59, RIGHT)], [0.9, 0.8], top=5)
    assert intervals(found) == [(30, 39, 0.9)]


def test_windows_that_share_no_frame_are_joined_at_the_border():
    answers = [window(0, 30, 39), window(40, 40, 50), window(80, 80, 90, RIGHT)]
    ((tube, _),) = best_tubes(answers[:2], [0.9, 0.8], top=5)
    assert (tube.start_frame, tube.end_frame, tube.clip) == (30, 50, (0, 80))
    assert tube.box_frames.tolist() == list(range(79))
    answers[1] = window(40, 40, 79)
    assert intervals(best_tubes(answers, [0.9, 0.8, 0.7], top=5)) == [(30, 79, 0.9), (80, 90, 0.7)]


def test_memory_does_not_grow():
    """Of ten thousand windows few answers are kept, and the best ones, with their neighbours, are among them."""
    rng = np.random.default_rng(0)
    values = rng.permutation(10_000) / 10_000
    values[[2000, 2001, 2002]] = 0.0, 1.5, 0.1
    collector, kept = Collector(top=3), 0
    for number, value in enumerate(values.tolist()):
        start, cut = 20 * number, number == 2001
        collector.add(window(start, start + (25 if cut else 12), start + (40 if cut else 18)), value)
        kept = max(kept, len(collector._answers))
    assert kept <= 4 * 64 + 1
    tube = collector.best()
    expected = np.argsort(-values)[:3]
    assert [round(moment.score, 4) for moment in tube.moments] == [round(values[i], 4) for i in expected]
    assert [moment.start_frame // 20 for moment in tube.moments][1:] == expected[1:].tolist()
    assert (tube.start_frame, tube.end_frame) == (tube.moments[0].start_frame, tube.moments[0].end_frame)


def test_moments_are_in_the_json_form():
    tube = window(0, 5, 15)
    moment = as_moment(tube, 0.123456789)
    assert (moment.start_frame, moment.end_frame, moment.score) == (5, 15, 0.123457)
    np.testing.assert_array_equal(moment.boxes_xyxy, tube.boxes_xyxy[5:15])
    tube = dataclasses.replace(tube, moments=(moment, as_moment(window(40, 50, 60), 0.1)))
    values = tube.to_dict()
    assert Tube.from_json(values) == tube
    assert [entry["start_sec"] for entry in values["moments"]] == [0.5, 5.0]
    assert repr(moment) == "<Moment from 0.50 to 1.50 s, score 0.123>"
    for change in ({"boxes_xyxy": [[1, 2, 3, 4]]}, {"boxes_xyxy": [5] * 10}, {"score": "x"}, {"end_frame": 5}):
        bad = values | {"moments": [values["moments"][0] | change]}
        with pytest.raises(InputError, match=r"a moment must have|'score' must be"):
            Tube.from_json(bad)


def test_the_score_is_the_sum_of_the_largest_logits():
    start_end = np.array([[[[9, 9], [9, 9]]], [[[1, -4], [3, -2]]]], np.float32)  # two layers, a row, two frames
    output = GroundingOutput(np.zeros((2, 1, 2, 4)), start_end, np.array([[[9, 9]], [[0.5, 0.25]]], np.float32))
    assert score(output, None) == 3 - 2 + 0.5
    assert score(output, np.array([[True, False]])) == 1 - 4 + 0.5
    sampled = dataclasses.replace(output, sampling_score=np.array([[0.5, 1.0]]))
    assert score(sampled, None) == pytest.approx(1.5 + np.log(1e6), abs=1e-4)
