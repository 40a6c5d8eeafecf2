from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.core.tree import check_same_parameters, flatten, unflatten
from stvg_jax.nn.declare import Linear, PureModule, initialize
from stvg_jax.nn.layers import MLP, dropout
from stvg_jax.nn.masking import masked_mean, within
from stvg_jax.nn.positions import anchor_positions, image_positions, time_positions


def test_initialisation_depends_on_seed_and_path_only():
    small = PureModule(MLP((3, 4), dtype=jnp.float32))
    large = PureModule(MLP((3, 4, 5), dtype=jnp.float32))
    one, again, other = (flatten(initialize(unflatten(small.declarations), seed)) for seed in (0, 0, 1))
    wide = flatten(initialize(unflatten(large.declarations), 0))
    np.testing.assert_array_equal(one["layers/0/kernel"], again["layers/0/kernel"])
    np.testing.assert_array_equal(one["layers/0/kernel"], wide["layers/0/kernel"])
    assert np.abs(one["layers/0/kernel"] - other["layers/0/kernel"]).max() > 0.01


def test_declared_modules_hold_no_memory():
    module = PureModule(Linear(1_000_000, 1_000_000, dtype=jnp.float32))
    assert module.declarations["kernel"].shape == (1_000_000, 1_000_000)


def test_tree_paths_round_trip_and_differences_are_listed():
    tree = {"a": {0: {"kernel": np.zeros((2, 3))}, 1: {"kernel": np.zeros(4)}}, "b": np.zeros(1)}
    flat = flatten(tree)
    assert list(flat) == ["a/0/kernel", "a/1/kernel", "b"]
    assert list(flatten(unflatten(flat))) == list(flat) and 0 in unflatten(flat)["a"]
    found = {"a/0/kernel": np.zeros((3, 2)), "b": np.zeros(1), "c": np.zeros(7)}
    with pytest.raises(InputError) as error:
        check_same_parameters(found, flat, "the file")
    message = str(error.value)
    assert "- missing   a/1/kernel (4,)" in message
    assert "+ unexpected c (7,)" in message
    assert "! a/0/kernel has shape (3, 2), the model needs (2, 3)" in message


def test_masked_mean_counts_real_entries_only():
    x = np.array([[1.0, 2.0, 100.0], [5.0, 100.0, 100.0]], np.float32)
    valid = np.array([[True, True, False], [True, False, False]])
    np.testing.assert_allclose(masked_mean(x, valid, 1), [1.5, 5.0])
    np.testing.assert_allclose(masked_mean(x, np.zeros_like(valid), 1), [0, 0])
    np.testing.assert_allclose(masked_mean(x, None, 1), x.mean(1))
    np.testing.assert_array_equal(within(np.array([[1, 2]]), 2, 3)[0], [[True, True, False], [False] * 3])


def test_image_positions_follow_the_real_size():
    alone = image_positions(5, 4, 16)
    padded = image_positions(8, 9, 16, jnp.array([[5, 4], [8, 9]]))
    np.testing.assert_allclose(padded[0, :5, :4], alone[0], atol=1e-6)
    # The last row and column stand at 2 pi, where the first sine vanishes.
    np.testing.assert_allclose(alone[0, -1, :, 0], 0, atol=1e-5)
    np.testing.assert_allclose(alone[0, :, -1, 8], 0, atol=1e-5)


def test_time_and_anchor_positions():
    table = time_positions(4, 6)
    np.testing.assert_allclose(table[:, 0], np.sin(np.arange(4)), atol=1e-6)
    np.testing.assert_allclose(table[:, 3], np.cos(np.arange(4) * 10000 ** (-2 / 6)), atol=1e-6)
    box = jnp.array([[0.1, 0.2, 0.3, 0.4]])
    embedded = np.asarray(anchor_positions(box, 8)).reshape(4, 8)
    np.testing.assert_allclose(embedded[:, 0], np.sin(2 * np.pi * np.array([0.2, 0.1, 0.3, 0.4])), atol=1e-6)


def test_dropout_keeps_the_mean():
    from flax import nnx

    x = jnp.ones((200, 200))
    dropped = dropout(x, 0.3, nnx.Rngs(dropout=0))
    assert abs(float(dropped.mean()) - 1) < 0.02
    assert abs(float((dropped == 0).mean()) - 0.3) < 0.02
    assert dropout(x, 0.3, None) is x
    assert jax.tree.leaves(dropped)[0].dtype == x.dtype
