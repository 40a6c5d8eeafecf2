"""Sine position embeddings: of images (DETR), of time steps (Transformer) and of anchor boxes (Conditional DETR)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

_TEMPERATURE = 10_000.0


def _interleave_sin_cos(angles):
    """Angles [..., c] -> [..., c], their sin at even channels and cos at odd channels."""
    pairs = jnp.stack([jnp.sin(angles[..., 0::2]), jnp.cos(angles[..., 1::2])], axis=-1)
    return pairs.reshape(*angles.shape)


def _frequencies(channels: int) -> np.ndarray:
    """float32 [channels], each frequency twice (once for sin, once for cos)."""
    exponent = 2 * (np.arange(channels, dtype=np.float32) // 2) / np.float32(channels)
    return np.float32(_TEMPERATURE) ** exponent


def image_positions(height: int, width: int, channels: int, sizes: jax.Array | None = None) -> jax.Array:
    """Normalised 2-D sine positions of DETR (`models/position_encoding.py`, normalize=True).

    Args:
        height, width: size of the grid.
        channels: even width of the result; the first half encodes y, the second x.
        sizes: int [b, 2], real height and width of each sample; None if the whole grid is real.

    Returns:
        float32 [b, height, width, channels]; b = 1 without `sizes`. Positions outside `sizes` are meaningless.
    """
    if sizes is None:
        sizes = jnp.array([[height, width]])
    scale = 2 * np.pi
    y = jnp.arange(1, height + 1, dtype=jnp.float32) / (sizes[:, 0, None] + 1e-6) * scale
    x = jnp.arange(1, width + 1, dtype=jnp.float32) / (sizes[:, 1, None] + 1e-6) * scale
    frequencies = _frequencies(channels // 2)
    y = _interleave_sin_cos(y[..., None] / frequencies)
    x = _interleave_sin_cos(x[..., None] / frequencies)
    shape = (len(sizes), height, width, channels // 2)
    return jnp.concatenate([jnp.broadcast_to(y[:, :, None], shape), jnp.broadcast_to(x[:, None, :], shape)], axis=-1)


def time_positions(length: int, channels: int) -> np.ndarray:
    """float32 [length, channels], the Transformer's sine table (Vaswani et al. 2017, section 3.5)."""
    position = np.arange(length, dtype=np.float32)[:, None]
    rate = np.exp(np.arange(0, channels, 2, dtype=np.float32) * np.float32(-np.log(_TEMPERATURE) / channels))
    table = np.empty((length, channels), np.float32)
    table[:, 0::2] = np.sin(position * rate)
    table[:, 1::2] = np.cos(position * rate)
    return table


def anchor_positions(boxes_cxcywh: jax.Array, channels: int) -> jax.Array:
    """Sine embedding of anchor boxes (Conditional DETR, DAB-DETR): [..., 4] -> float32 [..., 4 * channels].

    Coordinates appear in the order y, x, w, h, `channels` each.
    """
    y_x_w_h = jnp.stack([boxes_cxcywh[..., i] for i in (1, 0, 2, 3)], axis=-1).astype(jnp.float32)
    embedded = _interleave_sin_cos((y_x_w_h * (2 * np.pi))[..., None] / _frequencies(channels))
    return embedded.reshape(*boxes_cxcywh.shape[:-1], 4 * channels)
