"""From TubeDETR's predictions to a tube, as the released evaluation does it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.frame_rules import evaluation_frame_ids
from stvg_jax.grounding.inference.clip import ClipConfig
from stvg_jax.grounding.protocol import SINGLE_PASS, TWO_PASSES
from stvg_jax.grounding.tubes import PassPrediction
from tests.released import GOLDENS

CASES = json.loads((GOLDENS / "tubedetr_eval_cases.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['dataset']}-{case['annotation']['original_video_id']}")
def test_interval_and_boxes_are_the_released_ones(case):
    frames = np.array(case["expected_frame_ids"], np.int64)
    boxes, logits = (np.array(case[name], np.float32) for name in ("pred_boxes_cxcywh", "pred_sted"))
    size = case["annotation"]["height"], case["annotation"]["width"]
    assert [ids.tolist() for ids in SINGLE_PASS.split(frames)] == [frames.tolist()]
    interval, every, filled = SINGLE_PASS.merge([PassPrediction(frames, boxes, logits)], *size)
    assert list(interval) == case["expected_interval"]
    np.testing.assert_array_equal(every, np.arange(frames[0], frames[-1] + 1))
    at = np.searchsorted(every, frames[:3])
    np.testing.assert_allclose(filled[at], case["expected_boxes_xyxy_first3"], rtol=0, atol=1e-3)


IN_PARTS = [case for case in CASES if case["clips_of"]]


@pytest.mark.parametrize("case", IN_PARTS, ids=lambda c: f"{c['dataset']}-{c['annotation']['original_video_id']}")
def test_the_interval_from_parts_is_the_released_one(case):
    frames = np.array(case["expected_frame_ids"], np.int64)
    boxes, logits = (np.array(case[name], np.float32) for name in ("pred_boxes_cxcywh", "pred_sted"))
    size = case["annotation"]["height"], case["annotation"]["width"]
    clip = ClipConfig(
        f"tubedetr_{case['dataset']}", frames_per_pass=200, sample_fps=5.0, frames_at_once=case["clips_of"]
    )
    protocol = SINGLE_PASS.of(clip)
    parts = protocol.split(frames)
    assert len(parts) <= protocol.rows == (2 if case["dataset"] == "hcstvg" else 4)
    assert [len(ids) for ids in parts[:-1]] == [60] * (len(parts) - 1)
    np.testing.assert_array_equal(np.concatenate(parts), frames)
    at = [np.searchsorted(frames, ids) for ids in parts]
    predictions = [PassPrediction(ids, boxes[k], logits[k]) for ids, k in zip(parts, at, strict=True)]
    interval, every, filled = protocol.merge(predictions, *size)
    assert list(interval) == case["expected_interval_from_clips"]
    whole = SINGLE_PASS.merge([PassPrediction(frames, boxes, logits)], *size)
    np.testing.assert_array_equal(every, whole[1])
    np.testing.assert_array_equal(filled, whole[2])


def test_only_a_single_pass_is_read_in_parts():
    assert SINGLE_PASS.of(ClipConfig()) is SINGLE_PASS
    assert TWO_PASSES.of(ClipConfig()) is TWO_PASSES
    with pytest.raises(InputError, match="clip.frames_at_once=60: this model sees all frames of a pass at once"):
        TWO_PASSES.of(ClipConfig(frames_at_once=60))
    with pytest.raises(ValueError, match="frames_at_once is -1"):
        ClipConfig(frames_at_once=-1)


def test_the_answer_about_a_real_video_is_the_released_one():
    """From the golden outputs for 200 frames of a film of 768 x 432; `ground` gives these outputs within 4e-6."""
    golden = np.load(GOLDENS / "tubedetr_e2e_person.npz")
    frames = evaluation_frame_ids(200, "tubedetr_hcstvg", passes=1, frames_per_pass=200, sample_fps=5.0)
    np.testing.assert_array_equal(frames, golden["frame_ids"])
    prediction = PassPrediction(frames, golden["pred_boxes"], golden["pred_sted"])
    interval, every, filled = SINGLE_PASS.merge([prediction], 432, 768)
    assert list(interval) == json.loads(str(golden["meta"]))["sted"]
    np.testing.assert_allclose(filled[np.searchsorted(every, frames)], golden["boxes_xyxy"], rtol=0, atol=1e-4)


def test_a_single_frame_is_the_whole_answer():
    prediction = PassPrediction(np.array([7]), np.full((1, 4), 0.5, np.float32), np.zeros((1, 2), np.float32))
    interval, every, boxes = SINGLE_PASS.merge([prediction], 100, 200)
    assert interval == (7, 8)
    assert every.tolist() == [7]
    np.testing.assert_array_equal(boxes, [[50, 25, 150, 75]])


def test_boxes_are_not_cut_at_the_borders():
    boxes = np.array([[0.0, 0.0, 0.5, 0.5], [1.0, 1.0, 0.5, 0.5]], np.float32)
    _, _, filled = SINGLE_PASS.merge([PassPrediction(np.array([3, 5]), boxes, np.zeros((2, 2), np.float32))], 100, 200)
    np.testing.assert_array_equal(filled[[0, 2]], [[-50, -25, 50, 25], [150, 75, 250, 125]])
    np.testing.assert_array_equal(filled[1], [50, 25, 150, 75])
