"""Inputs at which the released systems raise or give NaN."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.core.registry import get_family
from stvg_jax.core.tree import flatten
from stvg_jax.grounding.target_queries import _stretch
from stvg_jax.grounding.task import GroundingTask
from stvg_jax.nn.declare import PureModule
from stvg_jax.nn.positions import time_positions
from tests.grounding.rows import make_rows
from tests.tiny import shallow, tiny


def small(system: str) -> tuple[PureModule, dict]:
    """A model whose feature grid has a cell for 4 x 4 pixels, and its parameters."""
    words = {"appearance_words": 3, "motion_words": 4} if system == "ta_stvg" else {}
    return tiny(system=system, **shallow(system), **words)


@pytest.mark.slow
@pytest.mark.parametrize("system", ["ta_stvg", "cg_stvg", "stcat"])
@pytest.mark.parametrize("frames", [1, 202], ids=["one frame", "more than the table of 201 times"])
def test_passes_of_any_length_over_a_grid_of_one_cell(system, frames):
    module, parameters = small(system)
    batch, _ = make_rows(frames, 4, 4, b=1)
    run = jax.jit(lambda p, b: module.apply(p, lambda m: m(b)))
    output = run(parameters, batch)
    assert output.boxes_cxcywh.shape == (2, 1, frames, 4)
    assert output.start_end_logits.shape == (2, 1, frames, 2)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(output))


@pytest.mark.slow
@pytest.mark.parametrize("system", ["ta_stvg", "cg_stvg", "stcat"])
def test_training_on_one_frame_of_one_cell(system):
    module, parameters = small(system)
    batch, targets = make_rows(1, 4, 4, b=1)
    targets = dataclasses.replace(targets, in_tube=np.ones((1, 1), bool))
    task = GroundingTask(module, get_family(system).losses())
    run = jax.jit(jax.value_and_grad(task.loss, has_aux=True))
    (loss, _), gradients = run(parameters, batch, targets)
    assert np.isfinite(loss)
    assert not [path for path, leaf in flatten(gradients).items() if not np.isfinite(leaf).all()]


@pytest.mark.parametrize("row", [[0.7], [0.7, 0.7, 0.7]], ids=["one cell", "constant"])
@pytest.mark.parametrize("padded", [False, True])
def test_an_activation_that_is_the_same_everywhere(row, padded):
    """Zero, and without a gradient; the released code divides zero by zero."""
    x = jnp.array([row + [0.9] * padded])
    valid = jnp.arange(x.shape[-1]) < len(row) if padded else None
    value, gradient = jax.value_and_grad(lambda x: (9 * _stretch(x, valid)).sum())(x)
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros_like(x))


def test_times_beyond_the_released_table_go_on():
    np.testing.assert_array_equal(time_positions(300, 8)[:201], time_positions(201, 8))
    np.testing.assert_allclose(time_positions(300, 8)[250, :2], [np.sin(250.0), np.cos(250.0)], atol=1e-5)
