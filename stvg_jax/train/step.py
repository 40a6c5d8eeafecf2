"""One step of training, compiled for all devices of the mesh.

The loss and its gradients run under `jax.shard_map`, not under the partitioner of `jax.jit`. To bound memory, the
models fold videos and frames into one axis and loop over it (`images_per_step`). If that axis is split over devices,
the partitioner gathers it before the loop, and every device computes every video. Here each device computes its own
rows only, and all communication is explicit:

- parameters that are split over `fsdp` are gathered before the loss;
- gradients are summed over `data`, and over `fsdp` by a reduce-scatter, which leaves each device its part;
- losses are sums, divided by counts of the whole batch that are made before it is split;
- if rows are compared with each other, their embeddings are gathered (`stvg_jax.train.contrastive`).

The optimiser and the moving average are elementwise apart from the norm of the gradient; the partitioner splits them
like the state. Parameters that no row of the whole batch used are not updated, though their moving average is: the loss
counts the rows that used them.

Each row has a dropout key of its own, from the seed, the step and its number in the batch. So the numbers of devices,
hosts and parts do not change the result of a step, apart from rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from stvg_jax.core.tree import unflatten
from stvg_jax.nn.remat import check_policy, rematerialize
from stvg_jax.parallel.mesh import BATCH, REPLICATED, batch_sharding
from stvg_jax.runtime.compilation import compiler_options
from stvg_jax.train.contrastive import contrastive_gradients
from stvg_jax.train.gradients import accumulate_gradients
from stvg_jax.train.optim import OptimConfig
from stvg_jax.train.schedules import Rates
from stvg_jax.train.state import StateShardings, TrainState, update_average
from stvg_jax.train.task import AdditiveTask, Batch, ContrastiveTask, Task

TrainStep: TypeAlias = Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]


def make_train_step(
    task: Task,
    optimizer: optax.GradientTransformationExtraArgs,
    rates: Rates,
    config: OptimConfig,
    mesh: Mesh,
    shardings: StateShardings,
    *,
    seed: int | None,
    parts: int = 1,
    remat: str = "none",
) -> TrainStep:
    """Makes a compiled function (state, batch) -> (state, metrics), which reuses the memory of the old state.

    Args:
        task: the task; its kind decides how gradients are computed (`stvg_jax.train.task`).
        optimizer: result of `make_optimizer`.
        rates: learning rates of the optimiser, to report them.
        config: settings of the optimiser.
        mesh: result of `make_mesh`.
        shardings: shardings of the state (`stvg_jax.train.state.state_shardings`).
        seed: seed of dropout; None to train without dropout.
        parts: number of parts in which a device's rows are computed, one after another.
        remat: a key of `stvg_jax.nn.remat.POLICIES`.

    Returns:
        A jitted function. A batch is a dictionary of arrays that are split by rows (`stvg_jax.parallel.mesh.to_mesh`).
        Metrics are float32 and the same on all devices: each term of the loss, "loss", "gradient_norm" before clipping,
        and "rate/<group>", the learning rates of this step.

    Raises:
        InputError: the policy is unknown; or, when the step is traced, a device's rows cannot be divided into parts.
    """
    check_policy(remat)
    all_gradients = _make_gradients(task, mesh, shardings, parts, remat)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        rows = len(next(iter(batch.values())))
        key = None if seed is None else jax.random.fold_in(jax.random.key(seed), state.step)
        with jax.default_matmul_precision("highest"):
            gradients, loss, (terms, uses) = all_gradients(
                state.trained, state.frozen, dict(batch), jnp.arange(rows), task.count(batch), key
            )
        used = {use: number > 0 for use, number in uses.items()}
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.trained, used=used)
        trained: Any = optax.apply_updates(state.trained, updates)
        metrics = {**terms, "loss": loss, "gradient_norm": optax.tree.norm(gradients)}
        metrics |= {f"rate/{group}": rate for group, rate in rates(state.step).items()}
        new_state = TrainState(
            step=state.step + 1,
            trained=trained,
            frozen=state.frozen,
            optimizer=optimizer_state,
            average=update_average(state.average, trained, config.ema_decay),
        )
        return new_state, {name: jnp.asarray(value, jnp.float32) for name, value in metrics.items()}

    return jax.jit(
        step,
        in_shardings=(shardings, batch_sharding(mesh)),
        out_shardings=(shardings, NamedSharding(mesh, REPLICATED)),
        donate_argnums=0,
        compiler_options=compiler_options(),
    )


def _make_gradients(task: Task, mesh: Mesh, shardings: StateShardings, parts: int, remat: str) -> Callable:
    """Makes a function (trained, frozen, batch, numbers of its rows, counts, key) -> (gradients, loss, (terms, uses)).

    Its results are those of the whole batch. Arguments as for `make_train_step`.
    """
    trained_specs, frozen_specs = (
        {path: sharding.spec for path, sharding in part.items()} for part in (shardings.trained, shardings.frozen)
    )

    def device_gradients(trained, frozen, batch, numbers, counts, key):
        """The same function of this device's rows and parts of parameters."""
        trained, frozen = _gather(trained, trained_specs), _gather(frozen, frozen_specs)
        keys = None if key is None else jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)

        def nest(trained):
            return unflatten(frozen | trained)

        rows = (batch, numbers, keys)
        with rematerialize(remat):
            if isinstance(task, ContrastiveTask):
                gradients, value, sums = contrastive_gradients(task, nest, trained, rows, counts, parts)
            else:
                gradients, value, sums = _additive_gradients(task, nest, trained, rows, counts, parts)
        return _sum_gradients(gradients, trained_specs), *jax.lax.psum((value, sums), mesh.axis_names)

    specs = (trained_specs, frozen_specs, BATCH, BATCH, REPLICATED, REPLICATED)
    return jax.shard_map(
        device_gradients, mesh=mesh, in_specs=specs, out_specs=(trained_specs, REPLICATED, REPLICATED), check_vma=False
    )


def _additive_gradients(
    task: AdditiveTask,
    nest: Callable[[dict[str, jax.Array]], dict],
    trained: dict[str, jax.Array],
    rows: tuple[Batch, jax.Array, jax.Array | None],
    counts: Any,
    parts: int,
) -> tuple[dict[str, jax.Array], jax.Array, Any]:
    """Like `contrastive_gradients`, for a loss that is a sum over rows."""
    batch, _, keys = rows

    def loss(trained, rows):
        batch, keys = rows
        return task.loss(nest(trained), *task.prepare(batch), counts, keys)

    return accumulate_gradients(loss, trained, (batch, keys), parts=parts)


def _split_axis(spec: PartitionSpec) -> int | None:
    """Axis that is split over `fsdp`, or None."""
    return next((axis for axis, name in enumerate(spec) if name == "fsdp"), None)


def _gather(parameters: dict[str, jax.Array], specs: Mapping[str, PartitionSpec]) -> dict[str, jax.Array]:
    """Whole parameters, gathered from the parts of all devices."""

    def whole(value: jax.Array, axis: int | None) -> jax.Array:
        return value if axis is None else jax.lax.all_gather(value, "fsdp", axis=axis, tiled=True)

    return {path: whole(value, _split_axis(specs[path])) for path, value in parameters.items()}


def _sum_gradients(gradients: dict[str, jax.Array], specs: Mapping[str, PartitionSpec]) -> dict[str, jax.Array]:
    """This device's part of the gradients, summed over all devices."""

    def summed(value: jax.Array, axis: int | None) -> jax.Array:
        if axis is None:
            return jax.lax.psum(value, ("data", "fsdp"))
        part = jax.lax.psum_scatter(value, "fsdp", scatter_dimension=axis, tiled=True)
        return jax.lax.psum(part, "data")

    return {path: summed(value, _split_axis(specs[path])) for path, value in gradients.items()}
