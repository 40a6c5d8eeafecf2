"""Embeddings of unit length, and their similarities."""

from __future__ import annotations

import jax
import jax.numpy as jnp

_SMALLEST_NORM = 1e-12


def unit(x: jax.Array) -> jax.Array:
    """Float32 vectors of unit length along the last axis; a zero vector stays one."""
    x = x.astype(jnp.float32)
    return x / jnp.maximum(jnp.sqrt((x * x).sum(-1, keepdims=True)), _SMALLEST_NORM)


def similarities(videos: jax.Array, texts: jax.Array) -> jax.Array:
    """Largest cosine over a video's embeddings: unit vectors [v, q, e] and [t, e] -> float32 [v, t]."""
    return jnp.einsum("vqe,te->vtq", videos, texts, preferred_element_type=jnp.float32).max(axis=-1)
