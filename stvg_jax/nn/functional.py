"""Modules as pure functions of their parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from stvg_jax.core.tree import flatten, unflatten
from stvg_jax.nn.declare import initialize


class PureModule:
    """A module, split into its graph and its declarations.

    `apply` is traceable: `jax.jit(lambda params, x: pure.apply(params, lambda m: m(x)))`.

    Args:
        module: any module built in this library.

    Attributes:
        declarations: path -> `Declared`, for every parameter and frozen statistic.
    """

    def __init__(self, module: nnx.Module):
        self._graph, self._state = nnx.split(module)
        self.declarations = flatten(nnx.to_pure_dict(self._state))

    def bind(self, parameters: dict[Any, Any]) -> nnx.Module:
        """The module with these parameters, nested as by `stvg_jax.core.tree.unflatten`, ready to call."""
        state = jax.tree.map(lambda leaf: leaf, self._state)
        nnx.replace_by_pure_dict(state, parameters)
        return nnx.merge(self._graph, state)

    def apply(self, parameters: dict[Any, Any], call: Callable[[nnx.Module], Any]) -> Any:
        """Runs `call` on the module with these parameters."""
        return call(self.bind(parameters))


def initialized(module: nnx.Module, seed: int = 0) -> nnx.Module:
    """The module with newly drawn parameters on the device.

    Args:
        module: any module of this library, whose parameters are declared.
        seed: 0 or more.
    """
    pure = PureModule(module)
    return pure.bind(jax.device_put(initialize(unflatten(pure.declarations), seed)))
