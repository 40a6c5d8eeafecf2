"""The measures: numbers of the released evaluation, and small cases worked out by hand."""

import json
import statistics

import numpy as np
import pytest

from stvg_jax.grounding.evaluation.metrics import SampleMetrics, box_iou, measure, measure_sampled, summarise
from stvg_jax.grounding.evaluation.types import Prediction
from stvg_jax.grounding.protocol import SINGLE_PASS, TWO_PASSES
from stvg_jax.grounding.tubes import PassPrediction
from tests.grounding.evaluation.cases import make_prediction, make_sample
from tests.released import GOLDENS

CASES = json.loads((GOLDENS / "stvg_eval_cases.json").read_text())["cases"]
NAMES = ("tiou", "viou", "gt_viou", "viou@0.3", "viou@0.5", "gt_viou@0.3", "gt_viou@0.5")
KINDS = {"declar": "declarative", "inter": "interrogative"}


def golden(case):
    """The prediction and the truth of a stored case."""
    ids = np.array(case["frame_ids"])
    passes = [
        PassPrediction(ids[i::2], np.array(p["pred_boxes"], np.float32), np.array(p["pred_sted"], np.float32))
        for i, p in enumerate(case["passes"])
    ]
    first, last = case["gt_temp_bound"]
    assert sorted(map(int, case["gt_boxes"])) == list(range(first, last + 1))
    boxes = [case["gt_boxes"][str(frame)] for frame in range(first, last + 1)]
    truth = make_sample(str(case["item_id"]), (first, last + 1), boxes, KINDS[case["qtype"]])
    answer = TWO_PASSES.merge(passes, case["height"], case["width"])
    return Prediction.at_frames(*answer, np.concatenate([p.frames for p in passes])), truth


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['dataset']}-{case['item_id']}")
def test_released_evaluation(case):
    prediction, truth = golden(case)
    assert list(prediction.interval) == case["expected_sted"]
    assert prediction.frames.tolist() == case["frame_ids"]
    filled = prediction.filled()
    assert len(filled.frames) == case["n_boxes"]
    metrics = measure(filled, truth)
    (summary,) = summarise([(truth.kind, metrics)]).values()
    ours = [metrics.tiou, metrics.viou, metrics.gt_viou, *list(summary.measures.values())[2:4]]
    ours += list(summary.measures.values())[5:]
    assert ours == pytest.approx([case["expected_metrics"][name] for name in NAMES], abs=1e-6)


def test_released_means_apart_by_kind():
    groups = summarise((truth.kind, measure(p.filled(), truth)) for p, truth in map(golden, CASES))
    assert list(groups) == ["declarative", "interrogative"]
    names = ("m_tIoU", "m_vIoU", "gt_m_vIoU", "vIoU@0.3", "vIoU@0.5", "gt_vIoU@0.3", "gt_vIoU@0.5")
    for qtype, kind in KINDS.items():
        cases = [case["expected_metrics"] for case in CASES if case["qtype"] == qtype]
        assert groups[kind].samples == len(cases) == 5
        for ours, theirs in zip(names, NAMES, strict=True):
            mean = statistics.fmean(case[theirs] for case in cases)
            assert groups[kind].measures[ours] == pytest.approx(mean, abs=1e-6)


OWN = json.loads((GOLDENS / "tubedetr_eval_cases.json").read_text())


def own_golden(case):
    """The prediction and the truth of a stored case of TubeDETR, which has the true boxes of sampled frames only."""
    frames, about = np.array(case["expected_frame_ids"]), case["annotation"]
    logits, boxes = (np.array(case[name], np.float32) for name in ("pred_sted", "pred_boxes_cxcywh"))
    answer = SINGLE_PASS.merge([PassPrediction(frames, boxes, logits)], about["height"], about["width"])
    tube = about["tube_start_frame"], about["tube_end_frame"]
    true_boxes = np.full((tube[1] - tube[0], 4), np.nan)
    for frame, (x, y, width, height) in case["gt_boxes_xywh"].items():
        true_boxes[int(frame) - tube[0]] = x, y, x + width, y + height
    sample = make_sample(str(about["video_id"]), tube, true_boxes, about.get("qtype", "declarative"))
    return Prediction.at_frames(*answer, frames), sample


@pytest.mark.parametrize("case", OWN["cases"], ids=lambda c: f"{c['dataset']}-{c['annotation']['original_video_id']}")
def test_the_own_measures_of_tubedetr_are_the_released_ones(case):
    metrics = measure_sampled(*own_golden(case))
    expected = case["expected_metrics"]
    ours = [metrics.tiou, metrics.viou, metrics.gt_viou]
    assert ours == pytest.approx([expected[name] for name in NAMES[:3]], abs=2e-6)
    assert metrics.missing_boxes == 0


@pytest.mark.parametrize("summary", OWN["summaries"], ids=lambda summary: summary["dataset"])
def test_means_of_the_own_measures_are_the_released_ones(summary):
    cases = [own_golden(case) for case in OWN["cases"] if case["dataset"] == summary["dataset"]]
    groups = summarise((truth.kind, measure_sampled(prediction, truth)) for prediction, truth in cases)
    ours = {
        name.removeprefix("declarative_") if summary["dataset"] == "hcstvg" else name: value
        for kind, group in groups.items()
        for name, value in {f"{kind}_{n.replace('m_', '').lower()}": v for n, v in group.measures.items()}.items()
    }
    assert ours == pytest.approx(summary["expected_summary"], abs=2e-6)


@pytest.mark.parametrize(
    ("interval", "frames", "expected"),
    [
        # Perfect: all of its sampled frames count, also the last one.
        ((10, 20), range(0, 60, 3), (1, 1, 1)),
        # 5 of 15 frames common; of the sampled ones 15, 18 of 12, 15, 18, 21, 24.
        ((15, 25), range(0, 60, 3), (5 / 15, 2 / 5, 1)),
        ((30, 40), range(0, 60, 3), (0, 0, 1)),
        # No sampled frame in the tube, then none in the prediction either.
        ((10, 20), range(20, 60, 3), (1, 0, 0)),
        ((25, 26), range(27, 60, 3), (0, 0, 0)),
    ],
)
def test_own_measures_count_sampled_frames(interval, frames, expected):
    metrics = measure_sampled(make_prediction(interval, frames=frames), make_sample(tube=(10, 20)))
    assert (metrics.tiou, metrics.viou, metrics.gt_viou) == pytest.approx(expected)


def test_a_perfect_answer_lacks_the_last_frame_of_the_truth():
    """As in the released evaluation: 9 of the 10 frames count."""
    assert measure(make_prediction((10, 20)), make_sample(tube=(10, 20))) == SampleMetrics(0.9, 0.9, 1.0)


def test_partial_overlap():
    """Predicted 15 to 24, true 10 to 19: 4 frames in both (the true last one does not count), 15 in either.

    Boxes 40 wide, moved by 20: IoU 20 / 60.
    """
    metrics = measure(make_prediction((15, 25), (120, 50, 160, 110)), make_sample(tube=(10, 20)))
    assert metrics.tiou == pytest.approx(4 / 15)
    assert metrics.viou == pytest.approx(4 / 15 / 3)
    assert metrics.gt_viou == pytest.approx(1 / 3)


@pytest.mark.parametrize("interval", [(0, 10), (20, 30), (40, 41), (19, 20)])
def test_no_overlap_in_time(interval):
    """The last of these has the true last frame alone, which the released evaluation does not see."""
    metrics = measure(make_prediction(interval), make_sample(tube=(10, 20)))
    assert (metrics.tiou, metrics.viou, metrics.gt_viou) == (0, 0, 1)


@pytest.mark.parametrize("interval", [(5, 6), (5, 5), (0, 60), (6, 9)])
def test_a_true_tube_of_one_frame_is_never_found(interval):
    """Its interval is empty by the released formula."""
    metrics = measure(make_prediction(interval), make_sample(tube=(5, 6)))
    assert (metrics.tiou, metrics.viou, metrics.gt_viou) == (0, 0, 1)


def test_an_empty_interval_within_the_truth():
    metrics = measure(make_prediction((12, 12)), make_sample(tube=(10, 20)))
    assert (metrics.tiou, metrics.viou, metrics.gt_viou) == (0, 0, 1)


def test_frames_without_a_box_count_as_zero():
    metrics = measure(make_prediction((10, 20), frames=[9, 10, 12, 19, 30]), make_sample(tube=(10, 20)))
    assert metrics.viou == pytest.approx(2 / 10)
    assert metrics.gt_viou == pytest.approx(3 / 10)
    assert metrics.missing_boxes == 7


def test_no_boxes_at_all():
    empty = Prediction((10, 20), np.zeros(0, np.int64), np.zeros((0, 4)))
    assert measure(empty.filled(), make_sample(tube=(10, 20))) == SampleMetrics(0.9, 0, 0, 10)


def test_boxes_are_compared_frame_by_frame():
    """A box that moves with the true one; one that stays does not keep up."""
    track = np.array([[k, 0, k + 10, 10] for k in range(10)])
    truth = make_sample(tube=(10, 20), box=track)
    moving = measure(make_prediction((10, 20), track, range(10, 20)), truth)
    still = measure(make_prediction((10, 20), track[0], range(10, 20)), truth)
    assert moving.gt_viou == 1
    assert still.gt_viou == pytest.approx(np.mean([(10 - k) / (10 + k) for k in range(10)]))


def test_filled_interpolates_between_frames_only():
    boxes = np.array([[0, 0, 10, 10], [6, 0, 22, 10]], np.float32)
    filled = Prediction((3, 5), np.array([3, 7]), boxes).filled()
    assert filled.frames.tolist() == [3, 4, 5, 6, 7]
    np.testing.assert_allclose(filled.boxes_xyxy[:, 0], [0, 1.5, 3, 4.5, 6])
    np.testing.assert_allclose(filled.boxes_xyxy[:, 2], [10, 13, 16, 19, 22])


def test_thresholds_are_exclusive():
    values = [0.3, np.nextafter(0.3, 1), 0.5, np.nextafter(0.5, 1)]
    (summary,) = summarise(("declarative", SampleMetrics(0, v, v)) for v in values).values()
    assert (summary.measures["vIoU@0.3"], summary.measures["vIoU@0.5"]) == (0.75, 0.25)
    assert (summary.measures["gt_vIoU@0.3"], summary.measures["gt_vIoU@0.5"]) == (0.75, 0.25)


def test_a_measured_value_at_a_threshold_does_not_count():
    """6 whole boxes in an interval of 20 frames: 0.3."""
    metrics = measure(make_prediction((10, 30), frames=range(10, 16)), make_sample(tube=(10, 31)))
    assert metrics.viou == 0.3
    assert summarise([("declarative", metrics)])["declarative"].measures["vIoU@0.3"] == 0


def test_the_order_of_samples_changes_nothing():
    rng = np.random.default_rng(0)
    metrics = [("declarative", SampleMetrics(*row)) for row in rng.random((1000, 3)).tolist()]
    assert summarise(metrics) == summarise(metrics[::-1])


def test_kinds_without_samples_are_left_out():
    assert list(summarise([("interrogative", SampleMetrics(1, 1, 1))])) == ["interrogative"]
    assert summarise([]) == {}


def test_box_iou():
    a = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10], [5, 5, 5, 5], [0, 0, 10, 10]], np.float32)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [5, 5, 5, 5], [2, 2, 4, 7]], np.float32)
    np.testing.assert_allclose(box_iou(a, b), [1, 1 / 3, 0, 0, 0.1])
