"""Random keys for dropout."""

from __future__ import annotations

import jax


class DropoutKeys:
    """Replacement for `nnx.Rngs` with one stream, `dropout`, that is quick to trace.

    `nnx.Rngs` counts its draws in an array. Whenever the count changes, Flax asks for the array's sharding, and JAX
    prepares an error message that nobody sees, for which it walks through everything traced so far: a third of the
    tracing time of a small model, and more for a large one.

    Args:
        key: the key that all others are made from; or an array of keys, one for each row of a batch, so that the draws
            of a row do not depend on the other rows.
    """

    def __init__(self, key: jax.Array):
        self._key = key
        self._draws = 0

    def dropout(self) -> jax.Array:
        """A new key, or a new array of them."""
        self._draws += 1
        return _for_each(lambda key: jax.random.fold_in(key, self._draws - 1), self._key)


def split_keys(key: jax.Array, count: int) -> jax.Array:
    """Keys [count] from one key, or from the keys of a batch's rows, each of which gives the same number of keys."""
    each = count // key.size
    return _for_each(lambda key: jax.random.split(key, each), key).reshape(count)


def draw_kept(key: jax.Array, probability: float, shape: tuple[int, ...]) -> jax.Array:
    """Draws a bool array of `shape`, True with `probability`.

    Args:
        key: one key, or one for each row [b] of a batch; the first axis of `shape` is then b or a multiple of it, when
            rows are folded with their next axis.

    Raises:
        ValueError: the first axis is not a multiple of the number of keys.
    """
    if key.ndim and shape[0] % len(key):
        raise ValueError(f"the first axis of {shape} is not a multiple of {len(key)} rows")
    each = shape if not key.ndim else (shape[0] // len(key), *shape[1:])
    return _for_each(lambda key: jax.random.bernoulli(key, probability, each), key).reshape(shape)


def _for_each(function, key: jax.Array) -> jax.Array:
    return jax.vmap(function)(key) if key.ndim else function(key)
