"""State of a training as one tree that can be sharded, donated and saved."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Generic, TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import AbstractMesh, Mesh, NamedSharding

from stvg_jax.train.optim import split_frozen
from stvg_jax.train.sharding import DEFAULT_RULES, ShardingRules, tree_shardings

L = TypeVar("L")
T = TypeVar("T")


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState(Generic[L]):
    """Everything besides configuration and data that the next step depends on. Parameters are flat, path -> array.

    The same tree holds the shapes (`StateShapes`) and the shardings (`StateShardings`) of these arrays.

    Attributes:
        step: number of updates made so far, int32 scalar.
        trained: parameters with gradients, float32.
        frozen: parameters without gradients, float32.
        optimizer: state of the optimiser of `trained`.
        average: moving average of `trained`, used in evaluation.
    """

    step: L
    trained: dict[str, L]
    frozen: dict[str, L]
    optimizer: optax.OptState
    average: dict[str, L]


StateShapes: TypeAlias = TrainState[jax.ShapeDtypeStruct]
StateShardings: TypeAlias = TrainState[NamedSharding]


def init_state(
    parameters: Mapping[str, Any], groups: Mapping[str, str], optimizer: optax.GradientTransformation
) -> TrainState:
    """Makes the state before the first step; traceable.

    Args:
        parameters: path -> array, for all parameters of the model.
        groups: path -> group (`stvg_jax.train.optim.assign_groups`).
        optimizer: result of `make_optimizer`.
    """
    trained, frozen = split_frozen(parameters, groups)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        trained=trained,
        frozen=frozen,
        optimizer=optimizer.init(trained),
        average=start_average(trained),
    )


def state_shapes(
    declarations: Mapping[str, jax.ShapeDtypeStruct],
    groups: Mapping[str, str],
    optimizer: optax.GradientTransformation,
) -> StateShapes:
    """Shapes and dtypes of the state of a model with these declared parameters; allocates nothing."""
    plain = {path: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for path, leaf in declarations.items()}
    return jax.eval_shape(lambda parameters: init_state(parameters, groups, optimizer), plain)


def state_shardings(
    shapes: StateShapes, mesh: Mesh | AbstractMesh, rules: ShardingRules = DEFAULT_RULES
) -> StateShardings:
    """Shardings of a state on a mesh: parameters by rules, arrays that belong to a parameter like it.

    Args:
        shapes: shapes of the state (`state_shapes`).
        mesh: a mesh with an axis `fsdp`; may be abstract.
        rules: rules for the split.

    Raises:
        InputError: the rules do not fit the parameters.
    """
    return tree_shardings(shapes, {**shapes.trained, **shapes.frozen}, mesh, rules)


def place_state(
    parameters: Mapping[str, np.ndarray],
    groups: Mapping[str, str],
    optimizer: optax.GradientTransformation,
    shardings: StateShardings,
) -> TrainState:
    """Makes the state before the first step on the devices, each of which gets only its part.

    All hosts call it with the same parameters.

    Args:
        parameters: path -> host array, for all parameters of the model.
        groups, optimizer: as for `init_state`.
        shardings: result of `state_shardings`.
    """
    lying = {**shardings.trained, **shardings.frozen}
    placed = {
        path: jax.make_array_from_callback(value.shape, lying[path], lambda index, value=value: value[index])
        for path, value in parameters.items()
    }
    make = jax.jit(lambda p: init_state(p, groups, optimizer), out_shardings=shardings, donate_argnums=0)
    return make(placed)


def start_average(parameters: T) -> T:
    """The average before the first update: a copy, because a training step reuses the memory of its arguments."""
    return jax.tree.map(jnp.copy, parameters)


def update_average(average: T, parameters: T, decay: float) -> T:
    """decay * average + (1 - decay) * parameters, for trees of equal structure (released code: `update_ema`)."""
    return jax.tree.map(lambda mean, new: decay * mean + (1.0 - decay) * new, average, parameters)
