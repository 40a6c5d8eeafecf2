"""Modules that declare their parameters and get the values later, from a checkpoint or from `initialize`.

A new module takes milliseconds and no memory: each parameter is a `Declared`, which has its shape, its dtype and the
function that draws it. (Drawing 1,600 arrays in the constructor takes half a minute, even abstractly under
`nnx.eval_shape`.) `PureModule` makes such a module a function of its parameters, and `initialized` draws them.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stvg_jax.core.tree import flatten, unflatten
from stvg_jax.nn.affine import affine

Initializer = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


class Declared(jax.ShapeDtypeStruct):
    """Shape and dtype of a parameter, and the function that draws its first value."""

    __slots__ = ("init",)

    def __init__(self, shape: tuple[int, ...], init: Initializer, dtype: Any = jnp.float32):
        super().__init__(shape, dtype)
        self.init = init


def zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape)


def ones(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape)


def constant(value: float) -> Initializer:
    """Initializer that gives every number this value."""
    return lambda rng, shape: np.full(shape, value)


def normal(std: float) -> Initializer:
    """Gaussian initializer with this standard deviation."""
    return lambda rng, shape: std * rng.standard_normal(shape, np.float32)


def xavier_uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform with variance 2 / (fan in + fan out), for a matrix [in, out] (Glorot and Bengio 2010)."""
    limit = math.sqrt(6 / (shape[0] + shape[1]))
    return rng.uniform(-limit, limit, shape)


def he_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Gaussian with variance 2 / fan in, for a kernel [h, w, in, out] (He et al. 2015)."""
    return math.sqrt(2 / math.prod(shape[:-1])) * rng.standard_normal(shape, np.float32)


def initialize(declarations: dict[str, Any], seed: int) -> dict[str, Any]:
    """Draws every parameter of a tree of `Declared`; a value depends only on the seed and its own path.

    Args:
        declarations: nested dictionaries, from `nnx.to_pure_dict` of a module's state.
        seed: 0 or more.

    Returns:
        The same tree with numpy arrays.
    """

    def draw(path: str, leaf: Declared) -> np.ndarray:
        rng = np.random.default_rng([seed, zlib.crc32(path.encode())])
        return np.asarray(leaf.init(rng, leaf.shape), leaf.dtype)

    return unflatten({path: draw(path, leaf) for path, leaf in flatten(declarations).items()})


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

    def apply(self, parameters: dict[Any, Any], call: Callable[[Any], Any]) -> Any:
        """Runs `call` on the module with these parameters."""
        return call(self.bind(parameters))


def initialized(module: nnx.Module, seed: int = 0) -> nnx.Module:
    """The module with newly drawn parameters on the device.

    Args:
        module: any module of this library.
        seed: 0 or more.
    """
    pure = PureModule(module)
    return pure.bind(jax.device_put(initialize(unflatten(pure.declarations), seed)))


class _NoRngs(nnx.Rngs):
    """Stand-in for the keys that Flax's layers ask for and declarations do not use."""

    def __init__(self) -> None:
        pass

    def params(self) -> None:
        return None


def _declare(init: Initializer):
    return lambda key, shape, dtype=jnp.float32: Declared(tuple(shape), init, dtype)


class Linear(nnx.Module):
    """Linear layer [..., features_in] -> [..., features], drawn by default as the released code draws its encoder."""

    def __init__(
        self, features_in: int, features: int, *, use_bias: bool = True, init: Initializer = xavier_uniform, dtype
    ):
        self.kernel = nnx.Param(Declared((features_in, features), init))
        self.bias = nnx.Param(Declared((features,), zeros)) if use_bias else None
        self.dtype = dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        bias = None if self.bias is None else self.bias[...].astype(self.dtype)
        return affine(x.astype(self.dtype), self.kernel[...].astype(self.dtype), bias)


def LayerNorm(features: int, *, epsilon: float, dtype):
    """`nnx.LayerNorm` with declared parameters.

    The variance takes two passes: the one-pass form loses digits in float32, and results are compared to 1e-5.
    """
    return nnx.LayerNorm(
        features,
        epsilon=epsilon,
        use_fast_variance=False,
        scale_init=_declare(ones),
        bias_init=_declare(zeros),
        dtype=dtype,
        rngs=_NoRngs(),
    )


def Embed(rows: int, features: int, *, std: float = 0.02, dtype):
    """`nnx.Embed` with a declared table; the default standard deviation is BERT's."""
    return nnx.Embed(rows, features, embedding_init=_declare(normal(std)), dtype=dtype, rngs=_NoRngs())
