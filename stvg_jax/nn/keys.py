"""Random keys for dropout."""

from __future__ import annotations

import jax


class DropoutKeys:
    """Stands in for `nnx.Rngs` with one stream, `dropout`, wherever a model is traced.

    `nnx.Rngs` counts its draws in an array. Each time the count changes, Flax asks for the array's sharding, and JAX
    writes an error message that nobody sees, for which it walks through all that was traced before: a third of the time
    that tracing a small model takes, and more of a large one's.

    Args:
        key: that all others are made from; or an array of them, one for each row of a batch, so that what a row draws
            does not depend on the rows beside it.
    """

    def __init__(self, key: jax.Array):
        self._key = key
        self._draws = 0

    def dropout(self) -> jax.Array:
        """Another key, or another array of them."""
        self._draws += 1
        return _for_each(lambda key: jax.random.fold_in(key, self._draws - 1), self._key)


def split_keys(key: jax.Array, count: int) -> jax.Array:
    """Keys [count] from one key, or from the keys of a batch's rows, of which each gives the same number in a row."""
    each = count // key.size
    return _for_each(lambda key: jax.random.split(key, each), key).reshape(count)


def draw_kept(key: jax.Array, probability: float, shape: tuple[int, ...]) -> jax.Array:
    """bool of `shape`, True with `probability`.

    Args:
        key: one, or those of a batch's rows [b]; the first axis is then the rows', or theirs folded with the next one.

    Raises:
        ValueError: the first axis cannot be that of as many rows.
    """
    if key.ndim and shape[0] % len(key):
        raise ValueError(f"the first axis of {shape} is not one of {len(key)} rows")
    each = shape if not key.ndim else (shape[0] // len(key), *shape[1:])
    return _for_each(lambda key: jax.random.bernoulli(key, probability, each), key).reshape(shape)


def _for_each(function, key: jax.Array) -> jax.Array:
    return jax.vmap(function)(key) if key.ndim else function(key)
