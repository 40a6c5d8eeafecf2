"""Backbones that learn to name what true boxes hold: what they are asked, batching, and that they learn it."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.core.registry import get_family
from stvg_jax.grounding.pretraining.region_recognition import (
    RegionLossConfig,
    RegionOutput,
    RegionRecognitionConfig,
    region_learning_rate_rules,
    region_losses,
)
from stvg_jax.grounding.task import GroundingTask
from stvg_jax.train.optim import FROZEN, assign_groups
from tests.grounding.rows import WORDS, assert_padding_and_parts_change_nothing, learn, make_rows
from tests.tiny import shallow, tiny

TERMS = {"appearance_words", "motion_words"}


def tiny_regions(**changes):
    words = {"appearance_words": WORDS[0], "motion_words": WORDS[1]}
    return tiny(system="region_recognition", frozen_backbones=False, **words, **changes)


def test_a_sentence_without_words_of_a_kind_tells_nothing_about_them():
    _, targets = make_rows(t=5, h=32, w=32)
    targets = dataclasses.replace(targets, motion_labels=targets.motion_labels * np.array([[1.0], [0.0]], np.float32))
    motion = jnp.asarray(np.random.default_rng(1).standard_normal((2, WORDS[1])), jnp.float32)
    output = RegionOutput(jnp.zeros((2, WORDS[0])), motion)
    terms = region_losses(output, targets)
    probability, labels = 1 / (1 + np.exp(-motion[0])), targets.motion_labels[0]
    first = -np.mean(labels * np.log(probability) + (1 - labels) * np.log(1 - probability))
    np.testing.assert_allclose(terms["motion_words"], first / 2, rtol=1e-5)
    np.testing.assert_allclose(terms["appearance_words"], np.log(2), rtol=1e-5)


@pytest.mark.parametrize("stages", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_padding_and_parts_change_no_loss_and_no_gradient(stages):
    """With one stage of each backbone; with all of them as slow."""
    module, parameters = tiny_regions(**(shallow("region_recognition") if stages == 1 else {}))
    task = GroundingTask(module, RegionLossConfig())
    assert_padding_and_parts_change_nothing(task, parameters, TERMS, each_alone=stages == 4)


def test_it_learns_a_batch_by_heart():
    module, parameters = tiny_regions(**shallow("region_recognition"))
    batch, targets = make_rows(t=3, h=32, w=32, b=3)
    history, _ = learn(GroundingTask(module, RegionLossConfig()), parameters, batch, targets, steps=25)
    for name in TERMS:
        assert history[-1][1][name] < 0.5 * history[0][1][name], name


def test_every_part_has_its_learning_rate_and_nothing_stays_frozen_but_statistics():
    module, _ = tiny_regions()
    groups = assign_groups(module.declarations, region_learning_rate_rules(RegionRecognitionConfig()))
    assert {path.rsplit("/", 1)[1] for path, group in groups.items() if group == FROZEN} == {"mean", "var"}
    assert {group for path, group in groups.items() if path.startswith("swin/")} == {"base"}
    rates = {field.name for field in dataclasses.fields(get_family("region_recognition").learning_rates)}
    assert rates == set(groups.values()) - {FROZEN}


def test_frozen_backbones_have_nothing_to_learn():
    with pytest.raises(ValueError, match="frozen_backbones is True, but region recognition trains the backbones"):
        RegionRecognitionConfig(frozen_backbones=True)
