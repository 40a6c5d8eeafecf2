"""An encoder that learns where the target is: what it is asked, batching, and that it learns it by reading."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.core.registry import get_family
from stvg_jax.grounding.pretraining.pointing import (
    PointingConfig,
    PointingLossConfig,
    middle_frame,
    pointing_learning_rate_rules,
)
from stvg_jax.grounding.targets import GroundingTargets
from stvg_jax.grounding.task import GroundingTask
from stvg_jax.grounding.types import GroundingBatch
from stvg_jax.train.optim import FROZEN, assign_groups
from tests.grounding.rows import assert_padding_and_parts_change_nothing, learn, make_rows
from tests.tiny import apply, shallow, tiny, tiny_model_config

TERMS = {"appearance_pointing", "motion_pointing"}


def tiny_pointing(**changes):
    transformer = tiny_model_config(system="pointing")["transformer"] | {"placed_tokens": True, "encoder_layers": 2}
    return tiny(system="pointing", frozen_backbones=False, transformer=transformer, **changes)


@pytest.mark.parametrize(
    ("inside", "middle"),
    [([0, 1, 1, 1, 0], 2), ([0, 1, 1, 1, 1], 2), ([0, 0, 0, 0, 1], 4), ([1, 0, 0, 0, 0], 0), ([0, 0, 0, 0, 0], 0)],
)
def test_the_middle_of_the_tube_is_asked_about(inside, middle):
    assert middle_frame(jnp.array([inside], bool))[0] == middle


def predict(module, parameters, batch: GroundingBatch, targets: GroundingTargets):
    return apply(module, parameters, lambda m, *a: m.predict_to_train(*a, rngs=None), batch, targets.true_tube)


def test_only_the_middle_box_is_the_answer():
    """Of 8 x 8 pixels, 2 x 2 cells."""
    module, parameters = tiny_pointing(**shallow("pointing"))
    batch, targets = make_rows(t=5, h=8, w=8, b=3)
    boxes = np.full((3, 5, 4), np.nan, np.float32)
    boxes[:, 2] = [[0.75, 0.25, 0.4, 0.4], [0.5, 0.75, 0.9, 0.4], [0.5, 0.5, 1, 1]]
    inside = targets.in_tube.copy()
    inside[2] = False
    targets = dataclasses.replace(targets, boxes_cxcywh=boxes, in_tube=inside)
    output = predict(module, parameters, batch, targets)
    np.testing.assert_allclose(output.share, [[0, 1, 0, 0], [0, 0, 0.5, 0.5], [0, 0, 0, 0]])
    terms = PointingLossConfig().terms(output, targets)
    logits = np.asarray(output.appearance_logits, np.float64)[:2]
    expected = np.log(np.exp(logits).sum(-1)) - (logits * np.asarray(output.share)[:2]).sum(-1)
    np.testing.assert_allclose(terms["appearance_pointing"], expected.sum() / 3, rtol=1e-5)


def test_padding_and_parts_change_no_loss_and_no_gradient():
    """Padding within whole backbones is a matter of region recognition's test."""
    module, parameters = tiny_pointing(**shallow("pointing"))
    assert_padding_and_parts_change_nothing(GroundingTask(module, PointingLossConfig()), parameters, TERMS)


def test_it_learns_to_read_where():
    """The same video with four sentences, each about another place: a cell of 2 x 2."""
    module, parameters = tiny_pointing(**shallow("pointing"))
    batch, targets = make_rows(t=3, h=8, w=8, b=4)
    boxes = np.zeros((4, 3, 4), np.float32)
    boxes[:] = np.array([(x, y, 0.4, 0.4) for y in (0.25, 0.75) for x in (0.25, 0.75)])[:, None]
    batch = dataclasses.replace(batch, frames=np.repeat(batch.frames[:1], 4, axis=0))
    targets = dataclasses.replace(targets, boxes_cxcywh=boxes)
    history, _ = learn(GroundingTask(module, PointingLossConfig()), parameters, batch, targets, steps=25)
    for name in TERMS:
        # Whoever does not read has log(4) at best.
        assert history[-1][1][name] < 0.5 * np.log(4), name


def test_every_part_has_its_learning_rate():
    module, _ = tiny(system="pointing")
    groups = assign_groups(module.declarations, pointing_learning_rate_rules(PointingConfig()))
    assert {group for path, group in groups.items() if path.startswith("swin/")} == {FROZEN}
    rates = {field.name for field in dataclasses.fields(get_family("pointing").learning_rates)}
    assert rates == set(groups.values()) - {FROZEN}
