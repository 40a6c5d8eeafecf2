"""The state of training: what it holds and how it lies."""

from __future__ import annotations

import jax
import numpy as np
from jax.sharding import AbstractMesh, PartitionSpec

from stvg_jax.parallel.mesh import make_mesh
from stvg_jax.train.optim import OptimConfig, make_optimizer
from stvg_jax.train.sharding import ShardingRules
from stvg_jax.train.state import init_state, place_state, state_shapes, state_shardings

PARAMETERS = {
    "body/kernel": np.arange(8, dtype=np.float32).reshape(2, 4),
    "body/bias": np.ones(4, np.float32),
    "stem/kernel": np.ones((4, 4), np.float32),
}
GROUPS = {"body/kernel": "base", "body/bias": "base", "stem/kernel": "frozen"}
OPTIMIZER = make_optimizer(OptimConfig(), GROUPS, lambda step: {"base": 1.0})
RULES = ShardingRules((("body/kernel", 1), ("stem/.*", 0)))


def test_frozen_parameters_have_neither_moments_nor_average():
    state = init_state(PARAMETERS, GROUPS, OPTIMIZER)
    assert set(state.trained) == set(state.average) == {"body/kernel", "body/bias"}
    assert set(state.frozen) == {"stem/kernel"}
    assert state.step == 0
    np.testing.assert_array_equal(state.average["body/kernel"], PARAMETERS["body/kernel"])
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(state.optimizer)]
    assert not [path for path in paths if "stem" in path]
    assert len([path for path in paths if "body/kernel" in path]) == 2


def test_shapes_are_those_of_the_state():
    shapes = state_shapes(PARAMETERS, GROUPS, OPTIMIZER)
    state = init_state(PARAMETERS, GROUPS, OPTIMIZER)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), shapes) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), state
    )


def test_moments_and_average_lie_like_their_parameters():
    mesh = AbstractMesh((2, 2), ("data", "fsdp"))
    lying = state_shardings(state_shapes(PARAMETERS, GROUPS, OPTIMIZER), mesh, RULES)
    specs = {jax.tree_util.keystr(path): sharding.spec for path, sharding in jax.tree_util.tree_leaves_with_path(lying)}
    split = {path for path, spec in specs.items() if spec == PartitionSpec(None, "fsdp")}
    assert split == {path for path in specs if "body/kernel" in path}
    assert len(split) == 4
    assert lying.frozen["stem/kernel"].spec == PartitionSpec("fsdp")
    assert lying.trained["body/bias"].spec == lying.step.spec == PartitionSpec()


def test_placing_keeps_values():
    mesh = make_mesh()
    lying = state_shardings(state_shapes(PARAMETERS, GROUPS, OPTIMIZER), mesh, RULES)
    state = place_state(PARAMETERS, GROUPS, OPTIMIZER, lying)
    expected = init_state(PARAMETERS, GROUPS, OPTIMIZER)
    jax.tree.map(np.testing.assert_array_equal, state, expected)
    assert jax.tree.map(lambda leaf: leaf.sharding, state) == lying
