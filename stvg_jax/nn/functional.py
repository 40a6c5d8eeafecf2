"""A module as a pure function of its parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx

from stvg_jax.core.tree import flatten


class PureModule:
    """A module split once into its graph and its declarations.

    `apply` is traceable: `jax.jit(lambda params, x: pure.apply(params, lambda m: m(x)))`.

    Args:
        module: any module built in this library.

    Attributes:
        declarations: path -> Declared, every parameter and frozen statistic.
    """

    def __init__(self, module: nnx.Module):
        self._graph, self._state = nnx.split(module)
        self.declarations = flatten(nnx.to_pure_dict(self._state))

    def apply(self, parameters: dict[Any, Any], call: Callable[[nnx.Module], Any]) -> Any:
        """Runs `call` on the module with these parameters (nested, as `stvg_jax.core.tree.unflatten` gives them)."""
        state = jax.tree.map(lambda leaf: leaf, self._state)
        nnx.replace_by_pure_dict(state, parameters)
        return call(nnx.merge(self._graph, state))
