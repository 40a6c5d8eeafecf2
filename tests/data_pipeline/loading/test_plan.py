"""Decisions about a row before its pixels are read."""

import dataclasses

import numpy as np
import pytest

from stvg_jax.core.passes import InterleavedPasses
from stvg_jax.data_pipeline.frame_rules import evaluation_frame_ids
from stvg_jax.data_pipeline.loading.order import NO_SAMPLE
from stvg_jax.data_pipeline.loading.plan import (
    View,
    evaluation_plan,
    filling_plan,
    row_labels,
    row_tube,
    training_plan,
    tube_boxes,
)
from tests.data_pipeline.loading.cases import CONFIG, make_samples, stored_video

# Stored at half its size; the model sees it at most 1.4 times as wide as high.
VIDEO = stored_video(96, 64, 40, stored=(32, 48))


def test_a_training_row_is_no_second_pass():
    samples, _ = make_samples(1)
    plan = training_plan(samples[0], VIDEO, dataclasses.replace(CONFIG, flip=0.0), seed=0, epoch=0, index=7)
    assert (plan.sample, plan.pass_index) == (7, 0)
    assert plan.view == View((32, 48), (0, 0, 32, 48), (32, 44))


@pytest.mark.parametrize("number", [0, 1])
def test_a_row_of_evaluation_shows_its_pass_of_the_whole_picture(number):
    samples, _ = make_samples(1)
    plan = evaluation_plan(
        samples[0], VIDEO, dataclasses.replace(CONFIG, resolution=16), InterleavedPasses(2), number, index=7
    )
    assert (plan.sample, plan.pass_index) == (7, number)
    assert plan.frame_ids.tolist() == evaluation_frame_ids(40, "hcstvg")[number::2].tolist()
    assert plan.view == View((32, 48), (0, 0, 32, 48), (16, 22))


@pytest.mark.parametrize("number", [0, 1])
def test_a_row_that_fills_up_a_batch_is_one_frame_of_its_size(number):
    plan = filling_plan(number, (32, 40))
    assert (plan.sample, plan.pass_index) == (NO_SAMPLE, number)
    assert plan.frame_ids.tolist() == [0]
    assert plan.view == View((32, 40), (0, 0, 32, 40), (32, 40))


def test_each_sample_and_epoch_has_draws_of_its_own():
    samples, _ = make_samples(1, frames=400)

    def drawn(**changes):
        plan = training_plan(samples[0], VIDEO, CONFIG, **({"seed": 0, "epoch": 0, "index": 0} | changes))
        return (*plan.frame_ids.tolist(), plan.view.flip)

    rows = [drawn(**{name: k}) for name in ("seed", "epoch", "index") for k in range(1, 9)]
    assert len(set(rows)) > 12
    assert drawn(index=3) == drawn(index=3)


def test_boxes_are_those_of_the_frames_in_the_tube():
    samples, _ = make_samples(1)
    first, end = samples[0].tube
    inside, boxes = tube_boxes(samples[0], np.array([first - 1, first, end - 1, end]))
    assert inside.tolist() == [False, True, True, False]
    expected = samples[0].boxes_xyxy[[0, -1]] / [96, 64, 96, 64]
    np.testing.assert_allclose(boxes, expected)


def test_the_tube_of_a_row_is_that_of_its_view():
    samples, _ = make_samples(1)
    plan = training_plan(samples[0], VIDEO, dataclasses.replace(CONFIG, flip=0.0), seed=0, epoch=0, index=0)
    tube = row_tube(plan, samples[0])
    inside, boxes = tube_boxes(samples[0], plan.frame_ids)
    assert tube["in_tube"].tolist() == inside.tolist()
    centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    np.testing.assert_allclose(tube["boxes_cxcywh"][inside], np.concatenate([centres, sides], axis=1), rtol=1e-6)
    assert not tube["boxes_cxcywh"][~inside].any()
    assert not any(array.any() for array in row_tube(plan, None).values())


def test_labels_of_a_row_mark_words():
    samples, _ = make_samples(1)
    config = dataclasses.replace(CONFIG, appearance_words=3, motion_words=4)
    labels = row_labels(samples[0], config)
    assert (labels["appearance_labels"].tolist(), labels["motion_labels"].tolist()) == ([1, 0, 0], [1, 1, 0, 0])
    unlabelled = dataclasses.replace(samples[0], motion_labels=None)
    assert row_labels(unlabelled, config)["motion_labels"].tolist() == [0, 0, 0, 0]
