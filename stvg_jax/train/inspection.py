"""Needs of a training - parameters, memory, arithmetic - computed from shapes, without allocating anything."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from jax.sharding import NamedSharding

from stvg_jax.core.tree import unflatten
from stvg_jax.nn.remat import rematerialize
from stvg_jax.train.sharding import bytes_per_device
from stvg_jax.train.state import StateShapes, StateShardings, TrainState
from stvg_jax.train.step import TrainStep
from stvg_jax.train.task import Task, whole_loss


@dataclasses.dataclass(frozen=True)
class ParameterRow:
    """A group of parameters.

    Attributes:
        name: name of the group, in one or two parts.
        arrays, elements: number of arrays and of their elements.
        bytes_per_device: bytes of the parameters on each device.
    """

    name: tuple[str, ...]
    arrays: int
    elements: int
    bytes_per_device: int


@dataclasses.dataclass(frozen=True)
class Flops:
    """Floating-point operations of a step on all devices, by XLA's analysis of the program before optimisation.

    Attributes:
        forward: operations of the loss.
        training: operations of the loss and its gradients, each counted once; used for the share of a device's peak.
        computed: the same with everything that rematerialisation computes again.
    """

    forward: float
    training: float
    computed: float


def parameters_by_part(
    state: StateShapes, shardings: StateShardings, groups: Mapping[str, str], levels: int = 1
) -> list[ParameterRow]:
    """Rows named (beginning of the path, group), in the model's order.

    Args:
        state: shapes of the state (`stvg_jax.train.state.state_shapes`).
        shardings: shardings of the state.
        groups: path -> group, in the model's order.
        levels: number of parts of a path that make its beginning.
    """
    names = {path: ("/".join(path.split("/")[:levels]), group) for path, group in groups.items()}
    return _rows(state, shardings, names)


def parameters_by_sharding(
    state: StateShapes, shardings: StateShardings, groups: Mapping[str, str]
) -> list[ParameterRow]:
    """Rows named by the sharding; arguments as for `parameters_by_part`."""
    lying = {**shardings.trained, **shardings.frozen}
    return _rows(state, shardings, {path: (_describe(lying[path]),) for path in groups})


def _describe(sharding: NamedSharding) -> str:
    axes = [axis for axis, name in enumerate(sharding.spec) if name is not None]
    return f"axis {axes[0]} over fsdp" if axes else "on every device"


def _rows(state: StateShapes, shardings: StateShardings, names: Mapping[str, tuple[str, ...]]) -> list[ParameterRow]:
    shapes, lying = {**state.trained, **state.frozen}, {**shardings.trained, **shardings.frozen}
    members: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path, name in names.items():
        members[name].append(path)
    return [
        ParameterRow(
            name=name,
            arrays=len(paths),
            elements=sum(math.prod(shapes[path].shape) for path in paths),
            bytes_per_device=sum(bytes_per_device(shapes[path], lying[path]) for path in paths),
        )
        for name, paths in members.items()
    ]


def parameter_lines(titles: tuple[str, str], rows: Sequence[ParameterRow]) -> list[str]:
    """Table of the rows for people, with their sum."""
    names = [(*row.name, "")[:2] for row in rows]
    width = max(24, *(len(name) for name, _ in names))
    line = f"{{:<{width}}} {{:<16}} {{:>8}} {{:>14}} {{:>14}}"
    lines = [line.format(*titles, "arrays", "parameters", "MB per device")]
    for name, row in zip(names, rows, strict=True):
        lines.append(line.format(*name, f"{row.arrays:,}", f"{row.elements:,}", f"{row.bytes_per_device / 1e6:,.1f}"))
    arrays, elements = sum(row.arrays for row in rows), sum(row.elements for row in rows)
    size = sum(row.bytes_per_device for row in rows)
    return [*lines, line.format("all", "", f"{arrays:,}", f"{elements:,}", f"{size / 1e6:,.1f}")]


def every_parameter(shapes: Mapping[str, jax.ShapeDtypeStruct], groups: Mapping[str, str]) -> list[str]:
    """Table of all parameters for people: path, group, shape and number, then the sum of each group and of all.

    Args:
        shapes: path -> shape.
        groups: path -> group, in the model's order.
    """
    sizes = {path: math.prod(shapes[path].shape) for path in groups}
    sums: dict[str, int] = defaultdict(int)
    for path, group in groups.items():
        sums[group] += sizes[path]
    width = max(map(len, groups))
    line = f"{{:<{width}}} {{:<16}} {{:<20}} {{:>14}}"
    rows = [(path, group, str(list(shapes[path].shape)), f"{sizes[path]:,}") for path, group in groups.items()]
    rows += [("all", group, "", f"{number:,}") for group, number in sums.items()]
    total = ("all", "", "", f"{sum(sums.values()):,}")
    return [line.format(*row) for row in (("path", "group", "shape", "parameters"), *rows, total)]


def state_bytes(state: StateShapes, shardings: StateShardings) -> dict[str, int]:
    """Bytes on each device: of every part of the state, and of the gradients during a step."""
    fields = [field.name for field in dataclasses.fields(TrainState) if field.name != "step"]
    parts = {name: bytes_per_device(getattr(state, name), getattr(shardings, name)) for name in fields}
    # Every device computes the gradient of whole parameters before it keeps its part of the sum.
    whole = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in state.trained.values())
    return parts | {"gradients": whole}


def step_flops(task: Task, state: StateShapes, batch: Mapping[str, jax.ShapeDtypeStruct], remat: str = "none") -> Flops:
    """Operations of one step without the optimiser, which takes a few operations for each parameter.

    Args:
        task: a task whose model has no loops over steps, because the analysis counts the body of a loop once.
        state: shapes of the state.
        batch: shapes of the rows of all devices. One row is analysed.
        remat: a key of `stvg_jax.nn.remat.POLICIES`.
    """
    rows = next(iter(batch.values())).shape[0]
    row = {name: jax.ShapeDtypeStruct((1, *leaf.shape[1:]), leaf.dtype) for name, leaf in batch.items()}

    def loss(trained, frozen, batch):
        return whole_loss(task, unflatten(frozen | trained), batch, jax.random.split(jax.random.key(0), 1))

    def count(function: Any, policy: str) -> float:
        with rematerialize(policy):
            analysis = jax.jit(function).lower(state.trained, state.frozen, row).cost_analysis()
            assert analysis is not None  # XLA has one for every program that is not compiled yet
            return rows * analysis["flops"]

    # JAX caches traces by function, so each policy needs a function of its own.
    forward, training = count(loss, "none"), count(jax.value_and_grad(loss, has_aux=True), "none")
    computed = training if remat == "none" else count(jax.value_and_grad(lambda *a: loss(*a), has_aux=True), remat)
    return Flops(forward=forward, training=training, computed=computed)


def compiled_memory(step: TrainStep, state: StateShapes, batch: Mapping[str, jax.ShapeDtypeStruct]) -> dict[str, int]:
    """Bytes on each device by XLA's analysis of the compiled step.

    Args:
        step: result of `make_train_step`.
        state, batch: shapes of the state and of the batch of all devices.

    Returns:
        "state and batch", "temporary" (activations, gradients, whole parameters) and "total".
    """
    analysis = step.lower(state, batch).compile().memory_analysis()
    arguments, temporary = analysis.argument_size_in_bytes, analysis.temp_size_in_bytes
    # The new state takes the old one's place.
    extra = analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    return {"state and batch": arguments, "temporary": temporary, "total": arguments + temporary + extra}
