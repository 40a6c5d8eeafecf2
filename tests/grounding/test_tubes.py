"""From per-frame predictions to a tube: the released evaluation's numbers, and small cases worked out by hand."""

import json

import numpy as np
import pytest

from stvg_jax.grounding.tubes import PassPrediction, best_interval, log_softmax, merge_passes
from tests.released import GOLDENS

CASES = json.loads((GOLDENS / "stvg_eval_cases.json").read_text())["cases"]
RNG = np.random.default_rng(0)


def predictions(case):
    """The case's two passes: frames at even positions, frames at odd ones."""
    ids = np.array(case["frame_ids"])
    return [
        PassPrediction(ids[i::2], np.array(p["pred_boxes"], np.float32), np.array(p["pred_sted"], np.float32))
        for i, p in enumerate(case["passes"])
    ]


def merged(case):
    return merge_passes(predictions(case), case["height"], case["width"])


def iou(a, b):
    """Of two boxes (x1, y1, x2, y2)."""
    inner = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return inner / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inner)


@pytest.fixture(params=CASES, ids=lambda case: f"{case['dataset']}-{case['item_id']}")
def case(request):
    return request.param


def test_interval_of_each_pass(case):
    for prediction, stored in zip(predictions(case), case["passes"], strict=True):
        first, last = best_interval(prediction.start_end_logits)
        assert [prediction.frames[first], prediction.frames[last] + 1] == stored["expected_sted"]


def test_merged_interval(case):
    assert list(merged(case)[0]) == case["expected_sted"]


def test_merged_boxes(case):
    _, frames, boxes = merged(case)
    assert len(frames) == len(boxes) == case["n_boxes"]
    assert (np.diff(frames) == 1).all()
    stored = {int(f): box for f, box in case["expected_boxes_first_last"].items()}
    assert min(stored) == frames[0]
    assert max(stored) == frames[-1]
    ours = [boxes[f - frames[0]] for f in stored]
    # Pixels of frames up to 1920 wide, in float32.
    np.testing.assert_allclose(ours, list(stored.values()), atol=2e-4)


def test_metrics(case):
    """The measures of the released evaluation, which see every merged box that the truth has a frame for."""
    (start, end), frames, boxes = merged(case)
    true_start, true_end = case["gt_temp_bound"]
    both = range(max(start, true_start), min(end, true_end))
    either = max(end, true_end) - min(start, true_start)
    overlaps = {}
    for frame, box in case["gt_boxes"].items():
        if frames[0] <= int(frame) <= frames[-1]:
            overlaps[int(frame)] = iou(boxes[int(frame) - frames[0]], np.array(box))
    viou = sum(v for frame, v in overlaps.items() if frame in both) / either
    gt_viou = sum(overlaps.values()) / len(case["gt_boxes"])
    expected = case["expected_metrics"]
    assert len(both) / either == pytest.approx(expected["tiou"])
    assert viou == pytest.approx(expected["viou"], abs=1e-6)
    assert gt_viou == pytest.approx(expected["gt_viou"], abs=1e-6)


@pytest.mark.parametrize("n", [2, 3, 17, 64])
def test_best_interval_is_the_most_probable_pair(n):
    logits = RNG.normal(size=(n, 2)).astype(np.float32)
    log_p = log_softmax(logits)
    pairs = {(i, j): log_p[i, 0] + log_p[j, 1] for i in range(n) for j in range(i + 1, n)}
    assert best_interval(logits) == max(pairs, key=pairs.get)


def test_best_interval_starts_before_it_ends():
    logits = np.array([[0, 9], [1, 0], [9, 2]], np.float32)
    assert best_interval(logits) == (1, 2)


def test_best_interval_takes_the_first_of_equals():
    assert best_interval(np.zeros((5, 2), np.float32)) == (0, 1)


def test_best_interval_of_one_position():
    assert best_interval(np.zeros((1, 2), np.float32)) == (0, 0)


def test_log_softmax_of_large_values():
    np.testing.assert_allclose(np.exp(log_softmax(np.array([[1e4, -1e4], [1e4, -1e4]], np.float32))), 0.5)


def one_pass(frames, boxes, start=0, end=-1):
    logits = np.zeros((len(frames), 2), np.float32)
    logits[start, 0] = logits[end, 1] = 5
    return PassPrediction(np.array(frames), np.array(boxes, np.float32).reshape(-1, 4), logits)


def test_boxes_are_interpolated_between_sampled_frames():
    """In a picture 200 wide and 100 high, the centre goes 80 pixels to the right in four frames."""
    passes = [
        one_pass([10, 18], [[0.3, 0.5, 0.2, 0.2], [0.5, 0.5, 0.4, 0.2]]),
        one_pass([14], [[0.7, 0.5, 0.2, 0.2]]),
    ]
    interval, frames, boxes = merge_passes(passes, height=100, width=200)
    assert interval == (10, 19)
    assert frames.tolist() == list(range(10, 19))
    expected = {
        10: [40, 40, 80, 60],
        11: [60, 40, 100, 60],
        12: [80, 40, 120, 60],
        14: [120, 40, 160, 60],
        15: [105, 40, 155, 60],
        17: [75, 40, 145, 60],
        18: [60, 40, 140, 60],
    }
    for frame, box in expected.items():
        np.testing.assert_allclose(boxes[frame - 10], box, atol=1e-4)


def test_boxes_are_cut_off_before_they_are_interpolated():
    """As in the released evaluation: from x1 = 0 (cut off, really -20) to 40, half-way is 20, not 10."""
    passes = [one_pass([0], [[0.0, 0.5, 0.4, 0.2]]), one_pass([2], [[0.6, 0.5, 0.4, 0.2]])]
    _, _, boxes = merge_passes(passes, height=100, width=100)
    np.testing.assert_allclose(boxes[:, 0], [0, 20, 40], atol=1e-5)


def test_far_borders_are_left_to_the_caller():
    _, _, boxes = merge_passes([one_pass([0], [[1.0, 1.0, 0.5, 0.5]])], height=100, width=200)
    np.testing.assert_allclose(boxes, [[150, 75, 250, 125]])


def test_interval_runs_from_the_earliest_start_to_the_latest_end():
    still = [[0.5, 0.5, 0.1, 0.1]] * 4
    passes = [one_pass([0, 4, 8, 12], still, 0, 1), one_pass([2, 6, 10, 14], still, 2, 3)]
    assert merge_passes(passes, 10, 10)[0] == (0, 15)
    assert merge_passes(passes[::-1], 10, 10)[0] == (0, 15)


def test_passes_of_one_frame():
    """Two frames are sampled: each pass gives its own frame as start and as end."""
    box = [[0.5, 0.5, 0.2, 0.2]]
    interval, frames, boxes = merge_passes([one_pass([3], box), one_pass([7], box)], 10, 10)
    assert interval == (3, 8)
    assert frames.tolist() == [3, 4, 5, 6, 7]
    np.testing.assert_allclose(boxes, np.tile([4, 4, 6, 6], (5, 1)), rtol=1e-6)


def test_the_later_pass_wins_where_frames_coincide():
    """A video with one sampled frame goes to both passes (`stvg_jax.core.passes`)."""
    passes = [one_pass([5], [[0.5, 0.5, 0.2, 0.2]]), one_pass([5], [[0.5, 0.5, 0.4, 0.4]])]
    interval, frames, boxes = merge_passes(passes, 10, 10)
    assert interval == (5, 6)
    assert frames.tolist() == [5]
    np.testing.assert_allclose(boxes, [[3, 3, 7, 7]], rtol=1e-6)


def test_some_coinciding_frames():
    passes = [
        one_pass([0, 2], [[0.1, 0.5, 0.2, 0.2], [0.3, 0.5, 0.2, 0.2]]),
        one_pass([2, 4], [[0.5, 0.5, 0.2, 0.2], [0.9, 0.5, 0.2, 0.2]]),
    ]
    _, frames, boxes = merge_passes(passes, height=10, width=10)
    assert frames.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(boxes[:, 0], [0, 2, 4, 6, 8], atol=1e-5)


def test_boxes_are_float32():
    _, frames, boxes = merge_passes([one_pass([0, 2], [[0.5, 0.5, 0.2, 0.2]] * 2)], 10, 10)
    assert boxes.dtype == np.float32
    assert frames.dtype == np.int64
