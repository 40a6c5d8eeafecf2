"""The training step: one device, several, several hosts; parts, donation, rematerialisation."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

from stvg_jax.core.errors import InputError
from stvg_jax.nn.keys import DropoutKeys
from stvg_jax.nn.layers import dropout
from stvg_jax.parallel.mesh import make_mesh, to_mesh
from stvg_jax.train.optim import OptimConfig, make_optimizer
from stvg_jax.train.sharding import ShardingRules
from stvg_jax.train.state import TrainState, place_state, state_shapes, state_shardings
from stvg_jax.train.step import TrainStep, make_train_step
from tests.hosts import run_hosts
from tests.train.spread import on_eight_devices, rows_of_host

BATCH = 8


@dataclasses.dataclass(frozen=True)
class Regression:
    """A task with dropout, rows that do not count, a frozen parameter, a layered term and a gate that some rows use."""

    def count(self, batch):
        return batch["real"].sum()

    def prepare(self, batch):
        return batch["x"], (batch["y"], batch["real"], batch["gated"])

    def loss(self, parameters, inputs, targets, counts, key):
        y, real, gated = targets
        hidden = jnp.tanh(inputs @ parameters["up"]["kernel"] + parameters["up"]["bias"])
        if key is not None:
            hidden = dropout(hidden, 0.5, DropoutKeys(key))
        hidden = jnp.where(gated[:, None], hidden * parameters["gate"], hidden)
        error = jnp.where(real[:, None], (hidden @ parameters["down"]["kernel"]) * parameters["scale"] - y, 0)
        terms = {"square": (error**2).sum() / counts, "columns": jnp.abs(error).sum(0) / counts}
        uses = {"gated": (gated & real).sum(dtype=jnp.int32)}
        return terms["square"] + 0.1 * terms["columns"].sum(), (terms, uses)


def regression_parameters() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"up/kernel": (6, 16), "up/bias": (16,), "down/kernel": (16, 2), "scale": (2,), "gate": (16,)}
    return {path: rng.standard_normal(shape).astype(np.float32) for path, shape in shapes.items()}


def regression_batch() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "x": rng.standard_normal((BATCH, 6)).astype(np.float32),
        "y": rng.standard_normal((BATCH, 2)).astype(np.float32),
        # An unequal number of real rows on the devices.
        "real": np.array([1, 1, 1, 0, 1, 1, 0, 0], bool),
        # Of the real rows the second alone, and one that does not count.
        "gated": np.array([0, 1, 0, 0, 0, 0, 1, 0], bool),
    }


def regression(mesh: Mesh, **options) -> tuple[TrainState, TrainStep]:
    parameters = regression_parameters()
    groups = dict.fromkeys(parameters, "base") | {"scale": "frozen", "up/bias": "slow"}
    rates = lambda step: {"base": 0.1 / (1 + jnp.asarray(step)), "slow": 0.01}  # noqa: E731
    config = OptimConfig(max_gradient_norm=1.0, ema_decay=0.5)
    optimizer = make_optimizer(config, groups, rates, {"gate": "gated"})
    shapes = state_shapes(parameters, groups, optimizer)
    shardings = state_shardings(shapes, mesh, ShardingRules((("up/bias", 0), ("scale", 0), ("gate", 0)), smallest=8))
    state = place_state(parameters, groups, optimizer, shardings)
    return state, make_train_step(Regression(), optimizer, rates, config, mesh, shardings, **options)


def train(state: TrainState, step: TrainStep, batch, steps: int = 3) -> tuple[TrainState, list[dict]]:
    """Trains on one batch, whose only real row that uses the gate does not in the second step."""
    without = batch | {"gated": batch["gated"] & ~batch["real"]}
    metrics = []
    for number in range(steps):
        state, now = step(state, without if number == 1 else batch)
        metrics.append(jax.device_get(now))
    return state, metrics


@functools.cache
def alone(**options):
    mesh = make_mesh()
    return train(*regression(mesh, **options), to_mesh(regression_batch(), mesh))


def test_metrics_are_of_the_step_and_of_real_rows_alone():
    _, (first, second, _) = alone(seed=None)
    batch, parameters = regression_batch(), regression_parameters()
    hidden = np.tanh(batch["x"] @ parameters["up/kernel"] + parameters["up/bias"])
    hidden[batch["gated"]] *= parameters["gate"]
    error = (hidden @ parameters["down/kernel"] * parameters["scale"] - batch["y"])[batch["real"]]
    np.testing.assert_allclose(first["square"], (error**2).sum() / 5, rtol=1e-5)
    np.testing.assert_allclose(first["columns"], np.abs(error).sum(0) / 5, rtol=1e-5)
    np.testing.assert_allclose(first["loss"], first["square"] + 0.1 * first["columns"].sum(), rtol=1e-5)
    assert first["rate/base"] == np.float32(0.1)
    assert second["rate/base"] == np.float32(0.05)
    assert {value.dtype for value in first.values()} == {np.dtype(np.float32)}


def test_state_moves_and_frozen_parameters_stay():
    state, metrics = alone(seed=None)
    start = regression_parameters()
    assert state.step == 3
    np.testing.assert_array_equal(state.frozen["scale"], start["scale"])
    for path, value in state.trained.items():
        assert (value != start[path]).all(), path
        # The average lags behind: with a decay of one half it is between the start and the present.
        assert np.abs(state.average[path] - start[path]).sum() < np.abs(value - start[path]).sum()
    assert metrics[-1]["loss"] < metrics[0]["loss"]


def test_a_step_leaves_alone_what_no_real_row_used():
    mesh = make_mesh()
    batch = regression_batch()
    states = [regression(mesh, seed=None)[0]]
    step = regression(mesh, seed=None)[1]
    for row in (1, None, 1):
        gated = np.arange(BATCH) == row
        # A row that only fills up the batch does not count.
        now = to_mesh(batch | {"gated": gated | (np.arange(BATCH) == 6)}, mesh)
        states.append(step(jax.tree.map(jnp.copy, states[-1]), now)[0])
    used, unused, again = ([adam(state, "gate") for state in pair] for pair in zip(states, states[1:], strict=False))
    for before, after in (used, again):
        assert all((np.asarray(a) != np.asarray(b)).all() for a, b in zip(before, after, strict=True))
    jax.tree.map(np.testing.assert_array_equal, *unused)
    assert [int(state.optimizer[1].use_counts["gated"]) for state in states] == [0, 1, 1, 2]
    assert [int(state.optimizer[1].count) for state in states] == [0, 1, 2, 3]
    # The average goes on, towards where the parameter is.
    assert (states[2].average["gate"] != states[1].average["gate"]).any()
    assert (states[2].trained["up/kernel"] != states[1].trained["up/kernel"]).any()


def adam(state: TrainState, path: str) -> tuple[jax.Array, jax.Array, jax.Array]:
    """A parameter and its moments."""
    return state.trained[path], state.optimizer[1].mu[path], state.optimizer[1].nu[path]


def test_gradient_norm_is_that_before_clipping():
    _, (first, *_) = alone(seed=None)
    batch = regression_batch()
    parameters = regression_parameters()
    frozen = {"scale": parameters.pop("scale")}
    batch = {name: jnp.asarray(value) for name, value in batch.items()}

    def loss(trained):
        tree = {"up": {}, "down": {}} | frozen
        for path, value in trained.items():
            *parts, name = path.split("/")
            (tree[parts[0]] if parts else tree)[name] = value
        return Regression().loss(tree, *Regression().prepare(batch), Regression().count(batch), None)[0]

    gradients = jax.grad(loss)({path: jnp.asarray(value) for path, value in parameters.items()})
    norm = np.sqrt(sum(float((value**2).sum()) for value in gradients.values()))
    assert norm > 1.5, "the case must be one that is clipped"
    np.testing.assert_allclose(first["gradient_norm"], norm, rtol=1e-5)


def test_a_repeated_run_is_the_same_bit_for_bit():
    mesh = make_mesh()
    first = train(*regression(mesh, seed=0), to_mesh(regression_batch(), mesh))
    jax.tree.map(np.testing.assert_array_equal, first, alone(seed=0))


def test_dropout_depends_on_seed_and_step():
    losses = {seed: [now["loss"] for now in alone(seed=seed)[1]] for seed in (0, 1)}
    assert losses[0] != losses[1]
    mesh = make_mesh()
    batch = to_mesh(regression_batch(), mesh)
    state, step = regression(mesh, seed=0)
    later = dataclasses.replace(regression(mesh, seed=0)[0], step=jnp.int32(5))
    assert step(state, batch)[1]["loss"] != step(later, batch)[1]["loss"]


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_change_nothing(parts):
    """Dropout included: a row's is its own, whatever part it is in."""
    assert_close(alone(seed=0, parts=parts), alone(seed=0))


def test_the_old_state_is_given_away():
    mesh = make_mesh()
    state, step = regression(mesh, seed=0)
    step(state, to_mesh(regression_batch(), mesh))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves((state.trained, state.average, state.optimizer)))


def assert_close(found, expected, rtol: float = 2e-5, atol: float = 2e-6) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), found, expected)


def on_mesh(mesh: Mesh) -> tuple[TrainState, list[dict]]:
    state, step = regression(mesh, seed=0)
    assert state.trained["up/kernel"].addressable_shards[0].data.shape == (6, 8)
    return train(state, step, to_mesh(rows_of_host(regression_batch()), mesh))


@pytest.mark.parametrize("hosts", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_eight_devices_give_what_one_gives(hosts, tmp_path):
    """Losses, norm of the gradient, parameters, moments and average after three steps with dropout."""
    expected = alone(seed=0)
    assert_close(on_eight_devices(on_mesh, hosts, tmp_path, like=expected), expected)


_MODEL_PROGRAM = """if True:
    import argparse, dataclasses
    from stvg_jax.parallel import hosts
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("fsdp", type=int)
    parser.add_argument("remat")
    hosts.add_arguments(parser)
    args = parser.parse_args()
    hosts.join(args)
    import jax, numpy as np
    from jax.experimental.multihost_utils import process_allgather
    from stvg_jax.grounding.ta_stvg import TASTVGConfig
    from stvg_jax.grounding.task import GroundingTask, LearningRates, learning_rate_rules
    from stvg_jax.parallel.mesh import to_mesh
    from stvg_jax.parallel.mesh import make_mesh
    from stvg_jax.train import step as steps
    from stvg_jax.train.optim import OptimConfig, assign_groups, make_optimizer
    from stvg_jax.train.state import place_state, state_shapes, state_shardings
    from stvg_jax.core.tree import flatten
    from tests.tiny import tiny, tiny_model_config
    from tests.train.test_gradients import training_batch

    steps.compiler_options = lambda: {"xla_backend_optimization_level": 0}
    config = tiny_model_config()
    module, parameters = tiny(
        resnet=config["resnet"] | {"images_per_step": 2},
        swin=config["swin"] | {"depths": (1, 1, 1, 1)},
        transformer=config["transformer"] | {"decoder_layers": 1, "frames_per_step": 2},
    )
    parameters = flatten(parameters)
    groups = assign_groups(parameters, learning_rate_rules(TASTVGConfig()))
    rates = lambda step: dataclasses.asdict(LearningRates())
    optimizer = make_optimizer(OptimConfig(), groups, rates)
    mesh = make_mesh(args.fsdp)
    shardings = state_shardings(state_shapes(module.declarations, groups, optimizer), mesh)
    state = place_state(parameters, groups, optimizer, shardings)
    step = steps.make_train_step(
        GroundingTask(module), optimizer, rates, OptimConfig(), mesh, shardings, seed=0, remat=args.remat
    )
    batch = training_batch([3, 2, 3, 0, 2, 3, 1, 3], t=3, words=(15, 60))
    rows = 8 // jax.process_count()
    first = jax.process_index() * rows
    batch = to_mesh({name: value[first : first + rows] for name, value in batch.items()}, mesh)
    metrics = []
    for _ in range(2):
        state, now = step(state, batch)
        metrics.append(jax.device_get(now))
    trained = process_allgather(state.trained, tiled=True)
    result = flatten({"trained": trained, "first": metrics[0], "second": metrics[1]})
    if not jax.process_index():
        np.savez(args.out, **result)
"""


@pytest.mark.slow
def test_the_model_on_eight_devices_with_rematerialisation(tmp_path):
    """Two steps of a small grounding model on 8 devices of one host and of two, that compute layers again, against
    one device that keeps everything; dropout is on."""
    results = []
    for hosts, devices, fsdp, remat in ((1, 1, 1, "none"), (1, 8, 2, "layers"), (2, 4, 2, "layers")):
        out = tmp_path / f"{hosts}x{devices}.npz"
        for done in run_hosts(["-c", _MODEL_PROGRAM, str(out), str(fsdp), remat], hosts=hosts, devices=devices):
            assert done.returncode == 0, done.stderr
        with np.load(out) as file:
            results.append(dict(file))
    one, *others = results
    assert one["first/loss"] != one["second/loss"]
    for name, value in one.items():
        # Adam divides a gradient by its size, so that rounding in one of almost zero moves a parameter by up to a rate.
        tolerance = {"atol": 1e-3, "rtol": 0} if name.startswith("trained/") else {"atol": 1e-5, "rtol": 1e-3}
        for other in others:
            np.testing.assert_allclose(other[name], value, **tolerance, err_msg=name)


def test_policies_are_checked():
    with pytest.raises(InputError, match="remat 'everything' is unknown; choose one of none, dots, layers"):
        regression(make_mesh(), seed=0, remat="everything")
