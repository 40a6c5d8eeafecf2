"""Random keys for dropout."""

from __future__ import annotations

import jax


class DropoutKeys:
    """Stands in for `nnx.Rngs` with one stream, `dropout`, wherever a model is traced.

    `nnx.Rngs` counts its draws in an array. Each time the count changes, Flax asks for the array's sharding, and JAX
    writes an error message that nobody sees, for which it walks through all that was traced before: a third of the time
    that tracing a small model takes, and more of a large one's.

    Args:
        key: that all others are made from.
    """

    def __init__(self, key: jax.Array):
        self._key = key
        self._draws = 0

    def dropout(self) -> jax.Array:
        """Another key."""
        self._draws += 1
        return jax.random.fold_in(self._key, self._draws - 1)
