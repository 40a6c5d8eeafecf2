"""Target-aware queries: relevant frames, places of the target in them, and their mean (TA-STVG 3.2 to 3.4)."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.nn.attention import CrossAttentionBlock
from stvg_jax.nn.declare import LayerNorm, Linear
from stvg_jax.nn.layers import gelu
from stvg_jax.nn.masking import masked_mean

_LAYERS = 2


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Activation:
    """Output of SpatialActivation.

    Attributes:
        weights: float32 [b, t, n] in [0, 1], activation of each token; 0 at padding.
        word_logits: float32 [b, t, words], attribute words, judged by each frame.
    """

    weights: jax.Array
    word_logits: jax.Array


class ClassifierHead(nnx.Module):
    """Linear layer, GELU, norm, linear layer (released: `BertLMPredictionHead`)."""

    def __init__(self, width: int, classes: int, *, dtype):
        self.transform = Linear(width, width, dtype=dtype)
        self.norm = LayerNorm(width, epsilon=1e-12, dtype=dtype)
        self.decoder = Linear(width, classes, dtype=dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., width] -> float32 [..., classes]."""
        return self.decoder(self.norm(gelu(self.transform(x)))).astype(jnp.float32)


class TemporalSampling(nnx.Module):
    """Text-guided temporal sampling (TTS) for one stream: the relevance of each frame to the sentence."""

    def __init__(self, width: int, heads: int, *, dropout_rate: float, dtype):
        self.layers = nnx.List(
            [CrossAttentionBlock(width, heads, dropout_rate=dropout_rate, dtype=dtype) for _ in range(_LAYERS)]
        )
        self.head = ClassifierHead(width, 1, dtype=dtype)

    def __call__(
        self,
        pooled: jax.Array,
        text: jax.Array,
        text_valid: jax.Array | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> jax.Array:
        """Frame features pooled over space [b, t, d], text tokens [b, l, d] -> logits float32 [b, t]."""
        for layer in self.layers:
            pooled, _ = layer(pooled, text, key_valid=text_valid, rngs=rngs)
        return self.head(pooled)[..., 0]


class SpatialActivation(nnx.Module):
    """Attribute-aware spatial activation (ASA) for one stream: the places of the target in each frame."""

    def __init__(self, width: int, heads: int, words: int, *, dropout_rate: float, dtype):
        self.layers = nnx.List(
            [CrossAttentionBlock(width, heads, dropout_rate=dropout_rate, dtype=dtype) for _ in range(_LAYERS)]
        )
        self.head = ClassifierHead(width, words, dtype=dtype)

    def __call__(
        self,
        tokens: jax.Array,
        query: jax.Array,
        grid_valid: jax.Array | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> Activation:
        """Finds the subject in every frame.

        Args:
            tokens: [b, t, n, d].
            query: the first text token [b, d].
            grid_valid: bool [b, n] or None.
            rngs: stream `dropout`, to train.
        """
        b, t, _, d = tokens.shape
        x = jnp.broadcast_to(query[:, None, None], (b, t, 1, d))
        valid = None if grid_valid is None else grid_valid[:, None]
        for layer in self.layers:
            x, weights = layer(x, tokens, key_valid=valid, rngs=rngs)
        return Activation(_stretch(jax.nn.sigmoid(weights.sum(-3)[..., 0, :]), valid), self.head(x[:, :, 0]))


def _stretch(x: jax.Array, valid: jax.Array | None) -> jax.Array:
    """Scales the real entries of each row linearly to [0, 1]; 0 at padding and in constant rows."""
    low = jnp.min(x, axis=-1, keepdims=True, where=valid, initial=jnp.inf)
    high = jnp.max(x, axis=-1, keepdims=True, where=valid, initial=-jnp.inf)
    # A division by a tiny number would have a gradient that is not finite.
    flat = high <= low
    stretched = jnp.where(flat, 0, x - low) / jnp.where(flat, 1, high - low)
    return stretched if valid is None else jnp.where(valid, stretched, 0)


def choose_frames(score: jax.Array, threshold: float, frames_valid: jax.Array | None) -> jax.Array:
    """Frames whose score exceeds the threshold; every real frame of a video without such a frame.

    Args:
        score: float [b, t].
        threshold: of the score.
        frames_valid: bool [b, t] or None.

    Returns:
        bool [b, t].
    """
    real = jnp.ones(score.shape, bool) if frames_valid is None else frames_valid
    chosen = (score > threshold) & real
    return jnp.where(chosen.any(axis=1, keepdims=True), chosen, real)


def pool_query(
    tokens: jax.Array, activation: jax.Array | None, chosen: jax.Array, grid_valid: jax.Array | None
) -> jax.Array:
    """Mean of tokens times their activation, over chosen frames and real tokens.

    Args:
        tokens: [b, t, n, d].
        activation: float32 [b, t, n], or None for 1 everywhere.
        chosen: bool [b, t].
        grid_valid: bool [b, n] or None.

    Returns:
        [b, d], the object query of each video; 0 for a row that is all padding.
    """
    places = jnp.ones(tokens.shape[:3], bool) if grid_valid is None else grid_valid[:, None]
    return mean_query(tokens, places & chosen[:, :, None], activation)


def mean_query(tokens: jax.Array, counted: jax.Array, activation: jax.Array | None = None) -> jax.Array:
    """Mean of tokens times their activation over the counted tokens, bool [b, t, n]; otherwise as `pool_query`."""
    weights = jnp.ones(tokens.shape[:3], jnp.float32) if activation is None else activation
    weights = jnp.where(counted, weights, 0)
    total = jnp.einsum("btnd,btn->bd", tokens, weights.astype(tokens.dtype), preferred_element_type=jnp.float32)
    count = jnp.broadcast_to(counted, weights.shape).sum((1, 2))[:, None]
    return (total / jnp.maximum(count, 1)).astype(tokens.dtype)


def mean_over_chosen(values: jax.Array, chosen: jax.Array) -> jax.Array:
    """Mean over the chosen frames: values [b, t, c], chosen bool [b, t] -> [b, c]."""
    return masked_mean(values, chosen[..., None], axis=1)
