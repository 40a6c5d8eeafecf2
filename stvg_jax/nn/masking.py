"""Operations on the real part of padded arrays. A mask of None means that nothing is padded."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def masked_mean(x: jax.Array, valid: jax.Array | None, axis: int | tuple[int, ...]) -> jax.Array:
    """Mean of `x` over `axis`, of the positions where `valid` is True.

    Args:
        x: any float array.
        valid: bool, broadcastable to the shape of `x`, or None.
        axis: axes to reduce.

    Returns:
        `x` without `axis`; 0 where no position is valid.
    """
    if valid is None:
        return x.mean(axis)
    valid = jnp.broadcast_to(valid, x.shape)
    total = jnp.where(valid, x, 0).sum(axis)
    return total / jnp.maximum(valid.sum(axis), 1).astype(x.dtype)


def within(sizes: jax.Array, height: int, width: int) -> jax.Array:
    """bool [n, height, width], True within the top left `sizes` (height and width, int [n, 2]) of each grid."""
    rows = jnp.arange(height) < sizes[:, 0, None]
    columns = jnp.arange(width) < sizes[:, 1, None]
    return rows[:, :, None] & columns[:, None, :]


def zero_outside(x: jax.Array, sizes: jax.Array | None) -> jax.Array:
    """`x` [n, ..., h, w, c] with zeros outside `sizes`, int [n, 2]: a convolution then sees the same values beyond the
    real part as beyond the border of an unpadded image."""
    if sizes is None:
        return x
    inside = within(sizes, *x.shape[-3:-1])
    return jnp.where(jnp.expand_dims(inside, (*range(1, x.ndim - 3), -1)), x, 0)
