"""Predictions in the released systems' format, written and read."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.grounding.evaluation.metrics import SampleMetrics
from stvg_jax.grounding.evaluation.records import Record
from stvg_jax.grounding.evaluation.result_files import read_results, write_results
from stvg_jax.grounding.evaluation.scoring import score
from tests.grounding.evaluation.cases import make_prediction, make_sample, make_set


def problems(results) -> str:
    with pytest.raises(InputError) as caught:
        results.problems.raise_all("wrong")
    return str(caught.value)


def write(path, predictions, video_predictions=None):
    if video_predictions is None:
        video_predictions = {key: {"sted": [1, 5]} for key in predictions}
    path.write_text(json.dumps({"predictions": predictions, "video_predictions": video_predictions}))
    return path


@pytest.fixture(scope="module")
def some():
    return make_set(6)


def test_what_is_written_is_read_again(some, tmp_path):
    samples, records = some
    steps = []
    write_results(tmp_path / "r.json", records, samples, apart=True, step=lambda: steps.append(1))
    assert len(steps) == len(records)
    results = read_results(tmp_path / "r.json")
    results.problems.raise_all("nothing")
    assert list(results.predictions) == [r.id for r in records]
    assert results.kinds == {r.id: r.kind for r in records}
    for record in records:
        ours, again = record.prediction.filled(), results.predictions[record.id]
        assert again.interval == ours.interval
        np.testing.assert_array_equal(again.frames, ours.frames)
        np.testing.assert_allclose(again.boxes_xyxy, ours.boxes_xyxy, atol=5e-7)
    metrics = score(results.predictions, list(samples.values())).metrics
    for record in records:
        for name in ("tiou", "viou", "gt_viou"):
            assert getattr(metrics[record.id], name) == pytest.approx(getattr(record.metrics, name), abs=1e-7)


@pytest.mark.parametrize("apart", [True, False])
def test_the_file_has_what_the_released_systems_write(some, tmp_path, apart):
    samples, records = some
    write_results(tmp_path / "r.json", records, samples, apart=apart)
    file = json.loads((tmp_path / "r.json").read_text())
    means = [f"{name}{at}" for name in ("viou", "gt_viou") for at in ("", "@0.3", "@0.5")] + ["tiou"]
    sections = {"predictions", "gt", "video_predictions", "vid_metrics", "vid2names", "vid2sents"}
    prefixes = ("declar_", "inter_") if apart else ("",)
    assert set(file) == sections | {prefix + name for prefix in prefixes for name in means}
    chosen = [r for r in records if not apart or r.kind == "interrogative"]
    key = "inter_viou" if apart else "viou"
    assert file[key] == pytest.approx(np.mean([r.metrics.viou for r in chosen]))
    record = records[3]
    first, end = record.true_interval
    assert file["video_predictions"]["3"] == {"sted": list(record.prediction.interval)} | (
        {"qtype": "inter"} if apart else {}
    )
    assert list(file["gt"]["3"]) == [str(frame) for frame in range(first, end)]
    assert np.shape(list(file["gt"]["3"].values())) == np.shape(samples["3"].boxes_xyxy[:, None])
    assert file["vid_metrics"]["3"]["gt_sted"] == [first, end - 1]
    assert file["vid_metrics"]["3"]["viou@0.3"] == int(record.metrics.viou > 0.3)
    assert file["vid2names"]["3"] == record.video
    assert file["vid2sents"]["3"] == record.sentence


def test_variations_are_understood(tmp_path):
    box = [1, 2, 3.5, 4]
    path = write(tmp_path / "r.json", {"1": {"7": [box], "5": [box]}, "2": {"5": box}, "3": {}})
    content = json.loads(path.read_text()) | {"att_sequence": {"1": {"5": [[0.5]]}}, "confs": {}, "x": [1, {"y": None}]}
    path.write_text(json.dumps(content, indent=2) + "\n")
    results = read_results(path)
    results.problems.raise_all("nothing")
    assert results.predictions["1"].frames.tolist() == [5, 7]
    np.testing.assert_array_equal(results.predictions["2"].boxes_xyxy, [box])
    assert results.predictions["3"].boxes_xyxy.shape == (0, 4)
    assert results.predictions["1"].interval == (1, 5)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ({"5": [[1, 2, 3]]}, r"boxes that are not four numbers \(1\): 1 \(frame 5: 3 values\)"),
        ({"5": [[1, 2, 3, 4], [1, 2, 3, 4]]}, r"boxes that are not four numbers \(1\): 1 \(frame 5: 2 values\)"),
        ({"5": 3}, r"boxes that are not four numbers \(1\): 1 \(frame 5: 3\)"),
        ({"5": ["a", 1, 2, 3]}, r"boxes that are not four numbers \(1\): 1 \(could not convert"),
        ({"5": [[1, 2], [3], 4, 5]}, r"boxes that are not four numbers"),
        ({"5": [1, 2, 3, 4], "6": [1, 2, float("nan"), 4]}, r"boxes that are not finite \(1\): 1 \(frame 6\)"),
        ({"5": [1, 2, float("inf"), 4]}, r"boxes that are not finite"),
        ({"5": [10, 20, 5, 40]}, r"x2 < x1 or y2 < y1; a box is \(x1, y1, x2, y2\) \(1\): 1 \(frame 5\)"),
        ({"five": [1, 2, 3, 4]}, r"frames that are not whole numbers \(1\): 1 \(.*five"),
        ({"9" * 30: [1, 2, 3, 4]}, r"frames that are not whole numbers"),
        (dict.fromkeys(("7", "5", " 5", " 7"), [1, 2, 3, 4]), r"several boxes for one frame \(1\): 1 \(frame 5\)"),
        ([[1, 2, 3, 4]], r"boxes that are not filed under frames"),
    ],
)
def test_bad_boxes(tmp_path, frames, message):
    results = read_results(write(tmp_path / "r.json", {"1": frames, "2": {"5": [1, 2, 3, 4]}}))
    assert list(results.predictions) == ["2"]
    assert results.broken == {"1"}
    assert re.search(message, problems(results))


@pytest.mark.parametrize(
    "entry",
    [{}, {"sted": [1]}, {"sted": [5, 1]}, {"sted": [1.5, 3]}, {"sted": ["1", "2"]}, [1, 5], {"sted": [1, None]},
     {"sted": [float("nan"), 3]}, {"sted": [True, 3]}, {"sted": [1, float("inf")]}],
)  # fmt: skip
def test_bad_intervals(tmp_path, entry):
    results = read_results(write(tmp_path / "r.json", {"1": {"5": [1, 2, 3, 4]}}, {"1": entry}))
    assert "intervals that are not [first frame, one past the last] (1): 1" in problems(results)


def test_halves_of_predictions(tmp_path):
    box = {"5": [1, 2, 3, 4]}
    results = read_results(
        write(tmp_path / "r.json", {"1": box, "2": box}, {"2": {"sted": [1, 3]}, "10": {"sted": [1, 3]}})
    )
    message = problems(results)
    assert "boxes without an interval (1): 1" in message
    assert "an interval without boxes (1): 10" in message
    assert list(results.predictions) == ["2"]


def test_a_sample_twice_in_a_file(tmp_path):
    path = tmp_path / "r.json"
    tube = '{"5": [1, 2, 3, 4]}'
    path.write_text(
        f'{{"predictions": {{"1": {tube}, "1": {tube}}}, "video_predictions": {{"1": {{"sted": [1, 3]}}}}}}'
    )
    assert "several predictions for one sample (1): 1" in problems(read_results(path))


def test_all_problems_are_told_at_once_and_none_is_cut(tmp_path):
    frames = {str(k): {"5": [1, 2, 3]} for k in range(30)} | {"40": {"x": [1, 2, 3, 4]}, "41": {"5": [9, 9, 1, 1]}}
    message = problems(read_results(write(tmp_path / "r.json", frames)))
    assert "boxes that are not four numbers (30)" in message
    assert "and 18 more" in message
    assert "frames that are not whole numbers (1)" in message
    assert "x2 < x1" in message
    report = Path(message.rsplit("all of them: ", 1)[1])
    assert "29 (frame 5: 3 values)" in report.read_text()
    report.unlink()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "nonsense", '{"predictions": {', '{"predictions": {"1": {"5": [1,2,3,4]},}}', '{"a": 1} x',
     '{"predictions" {}}', '{"predictions": 5}', "[" * 100_000, '{"a": ' + "[" * 100_000],
)  # fmt: skip
def test_other_files(tmp_path, text):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"r.json is not a result file of the released systems, nor records"):
        read_results(path)


@pytest.mark.parametrize(
    ("content", "missing"),
    [({}, "no 'predictions' and no 'video_predictions'"), ({"predictions": {}}, "no 'video_predictions'")],
)
def test_other_json(tmp_path, content, missing):
    path = tmp_path / "r.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=missing):
        read_results(path)


def test_a_failed_write_leaves_the_old_file(some, tmp_path):
    samples, records = some
    path = tmp_path / "r.json"
    path.write_text("old")
    with pytest.raises(KeyError):
        write_results(path, records, {}, apart=True)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_boxes_are_written_to_a_millionth_of_a_pixel(tmp_path):
    """Neither one digit more nor one less, in the answer and in the truth."""
    box = [100.12345649, 50.12345651, 140.5, 110.0000004]
    sample = make_sample("0", (10, 12), box)
    record = Record.of(sample, make_prediction((10, 12), box, range(10, 12)))
    write_results(tmp_path / "r.json", [record], {"0": sample}, apart=False)
    written = json.loads((tmp_path / "r.json").read_text())
    assert written["gt"]["0"]["10"] == [[100.123456, 50.123457, 140.5, 110.0]]
    near = np.round(np.float32(box).astype(np.float64), 6).tolist()
    assert written["predictions"]["0"]["11"] == [near]
    assert near[0] == 100.123459  # of the float32 100.12345886


@pytest.mark.parametrize(("viou", "shares"), [(0.3, (0, 0)), (0.31, (1, 0)), (0.5, (1, 0)), (0.51, (1, 1))])
def test_a_share_counts_what_is_above_its_threshold(tmp_path, viou, shares):
    record = dataclasses.replace(make_set(1)[1][0], metrics=SampleMetrics(0.25, viou, viou))
    write_results(tmp_path / "r.json", [record], make_set(1)[0], apart=False)
    written = json.loads((tmp_path / "r.json").read_text())
    metrics = written["vid_metrics"]["0"]
    assert metrics["tiou"] == 0.25 and metrics["viou"] == metrics["gt_viou"] == viou
    assert (metrics["viou@0.3"], metrics["viou@0.5"]) == shares
    assert (metrics["gt_viou@0.3"], metrics["gt_viou@0.5"]) == shares
    assert (written["viou@0.3"], written["gt_viou@0.5"]) == shares


def test_an_interval_of_no_frames_is_read(tmp_path):
    path = write(tmp_path / "r.json", {"1": {"5": [1, 2, 1, 2]}}, {"1": {"sted": [5.0, 5], "qtype": "inter"}})
    results = read_results(path)
    results.problems.raise_all("nothing")
    assert results.predictions["1"].interval == (5, 5)
    assert results.kinds == {"1": "interrogative"}
