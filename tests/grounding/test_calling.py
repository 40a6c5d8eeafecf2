"""Models called as in a notebook: loaded from a checkpoint, and freshly constructed."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import stvg_jax
from stvg_jax.core import checkpoint
from stvg_jax.core.config import build
from stvg_jax.grounding.ta_stvg import TASTVG, TASTVGConfig
from stvg_jax.grounding.types import GroundingBatch
from stvg_jax.models.names import default_checkpoint
from stvg_jax.nn.declare import initialized
from tests.tiny import tiny_model_config

BATCH = GroundingBatch(
    frames=np.random.default_rng(0).standard_normal((1, 4, 64, 64, 3)).astype(np.float32),
    text_ids=np.array([[0, 9, 8, 7, 2]], np.int32),
)


@jax.jit
def call(model, batch):
    return model(batch)


def check(model, layers: int) -> None:
    boxes = np.asarray(call(model, BATCH).boxes_cxcywh)
    assert boxes.shape == (layers, 1, 4, 4)
    assert ((boxes > 0) & (boxes < 1)).all()
    assert len(np.unique(boxes)) > 1


def test_a_loaded_checkpoint_is_called_with_frames_and_ids():
    model = stvg_jax.load()
    folder = default_checkpoint()
    stored = checkpoint.read(folder, checkpoint.describe(folder))
    np.testing.assert_array_equal(model.box_head.layers[2].kernel[...], stored["box_head/layers/2/kernel"])
    check(model, layers=3)


def constructed(seed: int):
    return initialized(TASTVG(build(TASTVGConfig, tiny_model_config(), "config.model")), seed)


def test_a_constructed_model_has_the_parameters_of_its_seed():
    one, same, other = (constructed(seed).box_head.layers[2].kernel[...] for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert jax.eval_shape(call, constructed(3), BATCH).start_end_logits.shape == (2, 1, 4, 2)


@pytest.mark.slow
def test_a_constructed_model_is_called_after_initialisation():
    check(constructed(3), layers=2)
