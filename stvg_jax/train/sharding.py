"""Split of parameters over the devices along the mesh axis `fsdp`.

Rules choose the axis by the path of a parameter. Parameters without a rule are split along their largest axis that can
be divided evenly, unless they are too small. Arrays that belong to a parameter - moments of the optimiser, moving
average - are recognised by its path at the end of their own and are split like it. No parameter is split over `data`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from stvg_jax.core.errors import InputError

REPLICATE = -1


@dataclasses.dataclass(frozen=True)
class ShardingRules:
    """Rules for the split of parameters.

    Attributes:
        rules: (regular expression over a whole path, axis to split or REPLICATE); the first that matches decides.
        smallest: number of elements below which parameters without a rule are replicated, because the time to gather
            them would outweigh the memory.
    """

    rules: tuple[tuple[str, int], ...] = ()
    smallest: int = 2**14


DEFAULT_RULES = ShardingRules()


def parameter_specs(
    shapes: Mapping[str, jax.ShapeDtypeStruct], fsdp: int, rules: ShardingRules = DEFAULT_RULES
) -> dict[str, PartitionSpec]:
    """Partition of every parameter over `fsdp` devices.

    Args:
        shapes: path -> anything with a `.shape`.
        fsdp: number of devices that share one copy of the parameters.
        rules: rules for the split.

    Raises:
        InputError: a rule matches no parameter, or its axis cannot be split; the message lists all of them.
    """
    compiled = [(re.compile(pattern), axis) for pattern, axis in rules.rules]
    specs, used, problems = {}, set(), []
    for path, leaf in shapes.items():
        number = next((i for i, (pattern, _) in enumerate(compiled) if pattern.fullmatch(path)), None)
        if number is None:
            axis = _largest_axis(leaf.shape, fsdp) if math.prod(leaf.shape) >= rules.smallest else REPLICATE
        else:
            used.add(number)
            axis = compiled[number][1]
            if axis != REPLICATE and not (0 <= axis < len(leaf.shape) and leaf.shape[axis] % fsdp == 0):
                problems.append(f"- axis {axis} of {path} {tuple(leaf.shape)} cannot be split over {fsdp} devices")
        whole = axis == REPLICATE or fsdp == 1
        specs[path] = PartitionSpec() if whole else PartitionSpec(*[None] * axis, "fsdp")
    problems += [
        f"- rule {pattern!r} matches no parameter" for i, (pattern, _) in enumerate(rules.rules) if i not in used
    ]
    if problems:
        raise InputError(f"the sharding rules do not fit the model, {len(problems)} problems:\n" + "\n".join(problems))
    return specs


def _largest_axis(shape: tuple[int, ...], fsdp: int) -> int:
    """First of the largest axes that `fsdp` divides, or REPLICATE."""
    axes = [axis for axis, length in enumerate(shape) if length % fsdp == 0]
    return max(axes, key=lambda axis: shape[axis], default=REPLICATE)


def tree_shardings(
    tree: Any,
    parameters: Mapping[str, jax.ShapeDtypeStruct],
    mesh: Mesh | AbstractMesh,
    rules: ShardingRules = DEFAULT_RULES,
) -> Any:
    """Shardings of a tree of arrays that belong to parameters.

    Args:
        tree: tree of anything with a `.shape`. A leaf whose dictionary key is the path of a parameter of the same shape
            is split like the parameter; others are replicated.
        parameters: path -> shape, for all parameters of the model.
        mesh: a mesh with an axis `fsdp`.
        rules: rules for the split.

    Returns:
        The same tree with a NamedSharding for each leaf.

    Raises:
        InputError: as `parameter_specs`.
    """
    specs = parameter_specs(parameters, mesh.shape["fsdp"], rules)

    def lie(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        name: Any = getattr(path[-1], "key", None) if path else None
        follows = name in specs and tuple(leaf.shape) == tuple(parameters[name].shape)
        return NamedSharding(mesh, specs[name] if follows else PartitionSpec())

    return jax.tree_util.tree_map_with_path(lie, tree)


def bytes_per_device(shapes: Any, shardings: Any) -> int:
    """Bytes of a tree of arrays on each device."""

    def count(leaf: Any, sharding: NamedSharding) -> int:
        return math.prod(sharding.shard_shape(tuple(leaf.shape))) * leaf.dtype.itemsize

    return sum(jax.tree.leaves(jax.tree.map(count, shapes, shardings)))
