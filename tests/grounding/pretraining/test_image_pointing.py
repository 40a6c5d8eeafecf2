"""Image backbone and encoder that learn where the target is in single pictures, as starts for TubeDETR and STCAT."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stvg_jax.core.registry import get_family
from stvg_jax.grounding.pretraining.image_pointing import ImagePointingConfig, ImagePointingLossConfig
from stvg_jax.grounding.pretraining.pointing import pointing_learning_rate_rules
from stvg_jax.grounding.task import GroundingTask
from stvg_jax.train.optim import FROZEN, assign_groups
from tests.grounding.rows import assert_padding_and_parts_change_nothing, learn, make_rows
from tests.tiny import shallow, tiny, tiny_model_config

TERMS = {"appearance_pointing"}


def tiny_pointing(**changes):
    transformer = tiny_model_config(system="image_pointing")["transformer"] | {"placed_tokens": True}
    return tiny(system="image_pointing", frozen_backbones=False, transformer=transformer, **changes)


@pytest.mark.slow
def test_padding_and_parts_change_no_loss_and_no_gradient():
    module, parameters = tiny_pointing(**shallow("image_pointing"))
    assert_padding_and_parts_change_nothing(
        GroundingTask(module, ImagePointingLossConfig()), parameters, TERMS, each_alone=True
    )


def test_it_learns_to_read_where():
    """The same picture with four sentences, each about another place: a cell of 2 x 2."""
    module, parameters = tiny_pointing(**shallow("image_pointing"))
    batch, targets = make_rows(t=1, h=8, w=8, b=4)
    boxes = np.array([(x, y, 0.4, 0.4) for y in (0.25, 0.75) for x in (0.25, 0.75)], np.float32)[:, None]
    batch = dataclasses.replace(batch, frames=np.repeat(batch.frames[:1], 4, axis=0))
    targets = dataclasses.replace(targets, boxes_cxcywh=boxes, in_tube=np.ones_like(targets.in_tube))
    history, _ = learn(GroundingTask(module, ImagePointingLossConfig()), parameters, batch, targets, steps=25)
    # Whoever does not read has log(4) at best.
    assert history[-1][1]["appearance_pointing"] < 0.5 * np.log(4)


@pytest.mark.parametrize("system", ["tubedetr", "stcat"])
def test_both_models_have_all_its_parameters_but_the_head(system):
    transformer = {"placed_tokens": True}
    start = get_family("image_pointing").declarations(ImagePointingConfig())
    config = get_family(system).config
    model = get_family(system).declarations(
        config(transformer=dataclasses.replace(config().transformer, **transformer))
    )
    missing = {path for path in start if path not in model}
    assert missing == {"appearance_head/kernel", "appearance_head/bias"}


def test_every_part_has_its_learning_rate():
    module, _ = tiny(system="image_pointing")
    groups = assign_groups(module.declarations, pointing_learning_rate_rules(ImagePointingConfig()))
    assert FROZEN in set(groups.values())
    rates = {field.name for field in dataclasses.fields(get_family("image_pointing").learning_rates)}
    assert rates == set(groups.values()) - {FROZEN}
