"""Which axis of a parameter is split over the devices of the mesh axis `fsdp`.

Rules name parameters by path; those that no rule names are split along their largest axis that can be divided evenly,
unless they are too small to be worth it. Whatever belongs to a parameter - moments of the optimiser, moving average -
is recognised by the parameter's path at the end of its own, and lies like it. `data` never splits a parameter.
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
    """How parameters are split.

    Attributes:
        rules: (regular expression over a parameter's whole path, axis to split or REPLICATE), the first that matches
            decides.
        smallest: parameters with fewer elements that no rule names are replicated; gathering them would cost more time
            than they cost memory.
    """

    rules: tuple[tuple[str, int], ...] = ()
    smallest: int = 2**14


DEFAULT_RULES = ShardingRules()


def parameter_specs(
    shapes: Mapping[str, jax.ShapeDtypeStruct], fsdp: int, rules: ShardingRules = DEFAULT_RULES
) -> dict[str, PartitionSpec]:
    """The partition of every parameter over `fsdp` devices.

    Args:
        shapes: path -> anything with a `.shape`.
        fsdp: devices that share one copy of the parameters.
        rules: see ShardingRules.

    Raises:
        InputError: with every rule that names no parameter or an axis that cannot be split.
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
        f"- rule {pattern!r} names no parameter" for i, (pattern, _) in enumerate(rules.rules) if i not in used
    ]
    if problems:
        raise InputError(f"the sharding rules do not fit the model, {len(problems)} problems:\n" + "\n".join(problems))
    return specs


def _largest_axis(shape: tuple[int, ...], fsdp: int) -> int:
    """The first of the largest axes that `fsdp` divides, or REPLICATE."""
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
        tree: of anything with a `.shape`. A leaf under a dictionary key that is the path of a parameter of the same
            shape lies like the parameter; others are replicated.
        parameters: path -> shape, all of the model's.
        mesh: with an axis `fsdp`.
        rules: see ShardingRules.

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
