"""Frame sampling against the frames that the released evaluations sample."""

import json
import pathlib

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.core.passes import InterleavedPasses
from stvg_jax.data_pipeline.frame_rules import (
    FRAME_RULES,
    Amount,
    candidate_frame_ids,
    cut_window,
    evaluation_frame_ids,
    get_frame_rule,
    training_frame_ids,
)

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


@pytest.mark.parametrize("rule", FRAME_RULES)
@pytest.mark.parametrize("count", [1, 2, 30])
def test_the_end_of_a_clip_follows_the_last_frame_that_a_rule_may_choose(rule, count):
    every = evaluation_frame_ids(count, rule, 7, frames_per_pass=1000, sample_fps=1000, video_fps=25)
    assert every.tolist() == list(range(7, get_frame_rule(rule).end((7, 7 + count))))


def test_frames_per_pass_and_rate_are_parameters():
    assert evaluation_frame_ids(100, "vidstg", frames_per_pass=2).tolist() == [0, 33, 66, 99]
    # 40 frames count as 20 s: 0.5 frames per second in each of two passes take every second frame, and the last.
    assert evaluation_frame_ids(40, "hcstvg", sample_fps=0.5).tolist() == [*range(0, 39, 2)]


def test_interleave_takes_even_and_odd_positions():
    even, odd = InterleavedPasses().split(np.array([3, 5, 8, 9, 20]))
    assert even.tolist() == [3, 8, 20]
    assert odd.tolist() == [5, 9]


def test_interleave_shows_a_single_frame_to_both_passes():
    even, odd = InterleavedPasses().split(np.array([7]))
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


class Drawn:
    """Stands in for a generator: crops if `crop`, and begins and ends at these shares of what is allowed."""

    def __init__(self, crop, start, end):
        self.crop, self.start, self.end = crop, start, end

    def random(self):
        return 0.0 if self.crop else 0.999

    def integers(self, low, high=None):
        low, high, share = (0, low, self.start) if high is None else (low, high, self.end)
        return low + int(share * (high - low))


def slow_training_rule(count, rule, first, tube, drawn):
    """The rule of TA-STVG's datasets/data_utils.py, step by step; None where no frame of the tube is sampled."""
    if rule == "hcstvg":
        frames, rate = list(range(first, first + count - 1)), 3.2 / (count / 20)
        chosen = [0]
        for i, frame in enumerate(frames):
            if int((frame - first) * rate) > int((frames[chosen[-1]] - first) * rate):
                chosen.append(i)
        frames = [frames[i] for i in sorted({*chosen, len(frames) - 1})]
    else:
        frames = list(range(first, first + count))
    inside = [i for i, frame in enumerate(frames) if tube[0] <= frame < tube[1]]
    if drawn.crop and inside:
        starts, ends = list(range(inside[0])), list(range(inside[-1] + 1, len(frames)))
        start = starts[int(drawn.start * len(starts))] if starts else 0
        end = ends[int(drawn.end * len(ends))] if ends else len(frames) - 1
        frames = frames[start : end + 1]
    if rule == "vidstg" and len(frames) > 64:
        frames = [frames[int(i)] for i in np.linspace(0, len(frames) - 1, num=64)]
    return frames if any(tube[0] <= frame < tube[1] for frame in frames) else None


@pytest.mark.parametrize("rule", ["hcstvg", "vidstg"])
def test_training_equals_the_released_rule_taken_step_by_step(rule):
    rng, compared = np.random.default_rng(0), 0
    for count in range(2, 700, 2):
        first = 0 if rule == "hcstvg" else int(rng.integers(0, 40))
        begin = int(rng.integers(max(first - 3, 0), first + count - 1))
        tube = begin, int(rng.integers(begin + 1, first + count + 3))
        if tube[1] <= first:
            continue
        drawn = Drawn(rng.random() < 0.7, rng.random(), rng.random())
        expected = slow_training_rule(count, rule, first, tube, drawn)
        ids = training_frame_ids(count, rule, first, tube=tube, rng=drawn)
        assert ids.dtype == np.int64
        if expected is not None:
            compared += 1
            assert ids.tolist() == expected, (count, tube)
        assert np.any((ids >= tube[0]) & (ids < tube[1])), "something of the tube is always there"
        assert first <= ids[0]
        assert np.all(np.diff(ids) > 0)
        assert ids[-1] < first + count
        assert len(ids) <= (65 if rule == "hcstvg" else 64)
        candidates = candidate_frame_ids(count, rule, first, tube=tube, crop=True)
        assert np.isin(ids, candidates).all()
    assert compared > 300


def test_training_frames_of_hcstvg_are_among_those_of_evaluation():
    for count in range(20, 900, 7):
        tube = (count // 3, count // 2)
        ids = candidate_frame_ids(count, "hcstvg", tube=tube, crop=True)
        assert np.isin(ids, evaluation_frame_ids(count, "hcstvg")).all()


@pytest.mark.parametrize("rule", ["hcstvg", "vidstg"])
@pytest.mark.parametrize("tube", [(101, 102), (999, 1000), (998, 999)])
def test_a_tube_between_samples_gets_one(rule, tube):
    for seed in range(20):
        ids = training_frame_ids(
            1000, rule, tube=tube, rng=np.random.default_rng(seed), frames_per_pass=8, sample_fps=0.4
        )
        assert np.isin(ids, range(*tube)).sum() == 1
        assert np.all(np.diff(ids) > 0)


def test_half_of_the_training_clips_are_cropped():
    rng = np.random.default_rng(0)
    whole = sum(len(training_frame_ids(1000, "hcstvg", tube=(400, 600), rng=rng)) == 65 for _ in range(1000))
    assert 440 < whole < 570


@pytest.mark.parametrize("length", [1, 2, 8, 19, 20])
@pytest.mark.parametrize("tube", [(0, 3), (40, 61), (97, 100), (0, 100)])
def test_windows_are_runs_of_the_clip_with_some_of_the_tube(length, tube):
    ids, rng = np.arange(0, 100, 5), np.random.default_rng(0)
    tube = (tube[0], max(tube[1], tube[0] + 1))
    ids = np.union1d(ids, [tube[0]])
    starts = set()
    for _ in range(300):
        window = cut_window(ids, tube, length, rng)
        start = int(np.flatnonzero(ids == window[0])[0])
        assert len(window) == length
        np.testing.assert_array_equal(window, ids[start : start + length])
        assert np.any((window >= tube[0]) & (window < tube[1]))
        starts.add(start)
    holding = [np.any((w >= tube[0]) & (w < tube[1])) for w in np.lib.stride_tricks.sliding_window_view(ids, length)]
    assert starts == set(np.flatnonzero(holding)), "every window that shows some of the tube is drawn"


def test_a_window_as_long_as_the_clip_is_the_clip():
    ids = np.arange(10)
    np.testing.assert_array_equal(cut_window(ids, (3, 4), 10, np.random.default_rng(0)), ids)
    np.testing.assert_array_equal(cut_window(ids, (3, 4), 50, np.random.default_rng(0)), ids)


@pytest.mark.parametrize("tube", [(0, 10), (50, 60), (20, 20)])
def test_a_tube_outside_the_clip_is_refused(tube):
    with pytest.raises(InputError, match="outside its clip, frames 10:50"):
        training_frame_ids(40, "vidstg", 10, tube=tube, rng=np.random.default_rng(0))


TUBEDETR = json.loads((pathlib.Path(__file__).parents[1] / "goldens" / "tubedetr_eval_cases.json").read_text())
AT_FIVE = {"frames_per_pass": 200, "sample_fps": 5.0}


@pytest.mark.parametrize(
    "golden",
    TUBEDETR["sampling"],
    ids=lambda g: "-".join(str(value) for value in g.values() if not isinstance(value, list)),
)
def test_a_rate_with_a_limit_equals_the_released_one(golden):
    first, end = golden.get("start_frame", 0), golden.get("end_frame", golden.get("frame_count"))
    options = AT_FIVE | {"passes": 1, "video_fps": golden.get("fps")}
    ids = evaluation_frame_ids(end - first, f"tubedetr_{golden['dataset']}", first, **options)
    assert ids.tolist() == golden["expected_frame_ids"]


@pytest.mark.parametrize("rule", ["tubedetr_hcstvg", "tubedetr_vidstg"])
def test_a_rate_with_a_limit_takes_all_frames_of_slower_videos(rule):
    ids = evaluation_frame_ids(50, rule, 3, passes=1, video_fps=2.5, **AT_FIVE)
    assert ids.tolist() == list(range(3, 53 if rule == "tubedetr_vidstg" else 52))
    assert evaluation_frame_ids(1, rule, 3, passes=1, video_fps=2.5, **AT_FIVE).tolist() == [3]


@pytest.mark.parametrize("rule", ["tubedetr_hcstvg", "tubedetr_vidstg"])
def test_a_rate_with_a_limit_trains_on_a_run_of_its_frames_with_some_of_the_tube(rule):
    options = AT_FIVE | {"video_fps": 30.0}
    whole = evaluation_frame_ids(400, rule, 100, passes=1, **options)
    lengths = set()
    for seed in range(20):
        ids = training_frame_ids(400, rule, 100, tube=(200, 260), rng=np.random.default_rng(seed), **options)
        assert set(ids) <= set(whole)
        assert len(ids) == np.count_nonzero((whole >= ids[0]) & (whole <= ids[-1]))
        assert set(whole[(whole >= 200) & (whole < 260)]) <= set(ids)
        lengths.add(len(ids))
    assert len(lengths) > 5


@pytest.mark.parametrize("rule", list(FRAME_RULES))
def test_no_clip_has_more_frames_than_the_bound(rule):
    for fps in (5.0, 3.2, 0.32, 0.33):
        rates = {"frames_per_pass": 40, "sample_fps": fps, "passes": 1, "video_fps": 30.0}
        most = get_frame_rule(rule).most_frames(Amount(**rates))
        counts = [len(evaluation_frame_ids(count, rule, **rates)) for count in range(1, 900, 7)]
        assert most - 1 <= max(counts) <= most or rule == "tubedetr_vidstg"


def test_a_rate_of_a_video_that_does_not_tell_its_own_is_refused():
    with pytest.raises(InputError, match="needs the frame rate of the video"):
        evaluation_frame_ids(50, "tubedetr_vidstg", passes=1, **AT_FIVE)
