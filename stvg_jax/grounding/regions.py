"""Means of feature maps inside boxes, computed as weighted means over the whole grid, so that shapes are fixed."""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from stvg_jax.core.boxes import cxcywh_to_xyxy

POOLINGS = ("cells", "roi_align")
# Positions along each side of a box at which RoIAlign reads the map: 7 bins of 2, as in Mask R-CNN.
_ROI_SAMPLES = 14


def pool_regions(
    pooling: str, boxes_cxcywh: jax.Array, grid: tuple[int, int], sizes: jax.Array | None, *maps: jax.Array
) -> list[jax.Array]:
    """Mean features inside boxes.

    Args:
        pooling, boxes_cxcywh, grid, sizes: as for `region_weights`.
        maps: [b, t, n, d] each, with n = rows * columns.

    Returns:
        [b, t, d] of each map; 0 where a row is all padding.
    """
    weights = region_weights(pooling, boxes_cxcywh, grid, sizes)
    count = jnp.maximum(weights.sum(-1, keepdims=True), jnp.finfo(jnp.float32).tiny)

    def pool(features: jax.Array) -> jax.Array:
        weighed = weights.astype(features.dtype)
        total = jnp.einsum("btn,btnd->btd", weighed, features, preferred_element_type=jnp.float32)
        return (total / count).astype(features.dtype)

    return [pool(features) for features in maps]


def region_weights(pooling: str, boxes_cxcywh: jax.Array, grid: tuple[int, int], sizes: jax.Array | None) -> jax.Array:
    """Weight of each cell of a grid in the mean inside a box, up to a factor.

    Args:
        pooling: one of POOLINGS.
        boxes_cxcywh: float32 [b, t, 4] in [0, 1] of the real frame.
        grid: rows and columns, padding included.
        sizes: int32 [b, 2], real rows and columns, or None.

    Returns:
        float32 [b, t, n], with n = rows * columns; 0 at padding.
    """
    if pooling == "cells":
        # The released system rounds the right border up and the others to the nearest cell.
        down, across = (functools.partial(_cell_weights, round_high=r) for r in (jnp.round, jnp.ceil))
    else:
        down = across = _sample_weights
    # The part of the box outside the frame has no features.
    corners = jnp.clip(cxcywh_to_xyxy(boxes_cxcywh), 0, 1)
    real = jnp.array(grid)[None] if sizes is None else sizes
    rows = down(corners[..., 1], corners[..., 3], real[:, 0, None], grid[0])
    columns = across(corners[..., 0], corners[..., 2], real[:, 1, None], grid[1])
    return (rows[..., :, None] * columns[..., None, :]).reshape(*rows.shape[:2], -1)


def _cell_weights(
    low: jax.Array, high: jax.Array, size: jax.Array, length: int, *, round_high: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """1 for each cell along one axis between two rounded borders, at least one (released: `generate_roi_feature`).

    Args:
        low, high: [b, t] in [0, 1].
        size: [b, 1], real cells.
        length: cells, padding included.
        round_high: function that rounds `high` to whole cells.

    Returns:
        float32 [b, t, length].
    """
    last = jnp.clip(round_high(high * size), 1, size)
    first = jnp.clip(jnp.round(low * size), 0, last - 1)
    cells = jnp.arange(length)
    return ((cells >= first[..., None]) & (cells < last[..., None])).astype(jnp.float32)


def _sample_weights(low: jax.Array, high: jax.Array, size: jax.Array, length: int) -> jax.Array:
    """Weight of each cell along one axis in linear samples at even steps between two borders (He et al. 2017).

    The value of a cell is at its centre. Arguments and result as for `_cell_weights`.
    """
    steps = (jnp.arange(_ROI_SAMPLES) + 0.5) / _ROI_SAMPLES
    at = (low[..., None] + steps * (high - low)[..., None]) * size[..., None] - 0.5
    at = jnp.clip(at, 0, size[..., None] - 1)
    return jnp.maximum(0, 1 - jnp.abs(at[..., None] - jnp.arange(length))).mean(-2)
