"""The state of training: what it holds and how it lies."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
from jax.sharding import AbstractMesh, PartitionSpec

from stvg_jax.parallel.mesh import make_mesh
from stvg_jax.train.checkpoints import Checkpoints
from stvg_jax.train.optim import INHERITED, OptimConfig, make_optimizer
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


def test_a_run_from_before_uses_were_counted_goes_on(tmp_path):
    """Its updates were those of all parameters. What is saved with uses comes back bit for bit."""
    mesh = make_mesh()
    with_uses = make_optimizer(OptimConfig(), GROUPS, lambda step: {"base": 1.0}, {"body/bias": "some"})

    def abstract(optimizer):
        shapes = state_shapes(PARAMETERS, GROUPS, optimizer)
        lying = state_shardings(shapes, mesh)
        return jax.tree.map(lambda s, where: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=where), shapes, lying)

    def trained(state, optimizer, **used):
        for _ in range(3):
            _, moments = optimizer.update(state.trained, state.optimizer, state.trained, **used)
            state = dataclasses.replace(state, optimizer=moments, step=state.step + 1)
        return state

    with Checkpoints(tmp_path) as checkpoints:
        state = trained(init_state(PARAMETERS, GROUPS, OPTIMIZER), OPTIMIZER)
        checkpoints.save(state, 3, {})
        found, _ = checkpoints.restore(abstract(with_uses), inherited=INHERITED)
        assert found.optimizer[1].use_counts == {"some": 3}
        for name in ("count", "mu", "nu"):
            ours, theirs = (getattr(each.optimizer[1], name) for each in (found, state))
            jax.tree.map(np.testing.assert_array_equal, ours, theirs)
        again = trained(found, with_uses, used={"some": False})
        assert (int(again.optimizer[1].count), int(again.optimizer[1].use_counts["some"])) == (6, 3)
        checkpoints.save(again, 6, {})
        jax.tree.map(np.testing.assert_array_equal, checkpoints.restore(abstract(with_uses))[0], again)
        # A model that always uses everything saves what it always did.
        jax.tree.map(np.testing.assert_array_equal, checkpoints.restore(abstract(OPTIMIZER), step=3)[0], state)


def test_placing_keeps_values():
    mesh = make_mesh()
    lying = state_shardings(state_shapes(PARAMETERS, GROUPS, OPTIMIZER), mesh, RULES)
    state = place_state(PARAMETERS, GROUPS, OPTIMIZER, lying)
    expected = init_state(PARAMETERS, GROUPS, OPTIMIZER)
    jax.tree.map(np.testing.assert_array_equal, state, expected)
    assert jax.tree.map(lambda leaf: leaf.sharding, state) == lying
