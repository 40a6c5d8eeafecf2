"""Multi-head attention: its parts as pure functions, and two modules."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.nn.declare import LayerNorm, Linear
from stvg_jax.nn.layers import FeedForward, dropout, gelu


def split_heads(x: jax.Array, heads: int) -> jax.Array:
    """[..., n, d] -> [..., n, heads, d / heads]."""
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads)


def attention_weights(scores: jax.Array, key_valid: jax.Array | None) -> jax.Array:
    """Softmax over keys in float32.

    Args:
        scores: [..., heads, q, k], already scaled.
        key_valid: bool [..., k] or None; keys that are False get no weight.

    Returns:
        float32 [..., heads, q, k].
    """
    scores = scores.astype(jnp.float32)
    if key_valid is not None:
        scores = jnp.where(key_valid[..., None, None, :], scores, jnp.finfo(jnp.float32).min)
    return jax.nn.softmax(scores, axis=-1)


def mix_values(weights: jax.Array, values: jax.Array) -> jax.Array:
    """weights [..., heads, q, k], values [..., k, heads, c] -> [..., q, heads * c]."""
    mixed = jnp.einsum("...hqk,...khc->...qhc", weights.astype(values.dtype), values)
    return mixed.reshape(*mixed.shape[:-2], -1)


class MultiHeadAttention(nnx.Module):
    """Scaled dot-product attention with its four projections (Vaswani et al. 2017, section 3.2.2).

    Args:
        width: channels of queries, keys, values and result.
        heads: number of heads.
        dropout_rate: dropout of the attention weights in training.
    """

    def __init__(self, width: int, heads: int, *, dropout_rate: float = 0.0, dtype):
        self.query = Linear(width, width, dtype=dtype)
        self.key = Linear(width, width, dtype=dtype)
        self.value = Linear(width, width, dtype=dtype)
        self.out = Linear(width, width, dtype=dtype)
        self.heads = heads
        self.dropout_rate = dropout_rate

    def __call__(
        self,
        queries: jax.Array,
        keys: jax.Array,
        values: jax.Array,
        *,
        key_valid: jax.Array | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> tuple[jax.Array, jax.Array]:
        """Attends from queries to keys and values.

        Args:
            queries: [..., q, d].
            keys, values: [..., k, d].
            key_valid: bool [..., k] or None.
            rngs: stream `dropout` in training; None in inference.

        Returns:
            The result [..., q, d] and the weights before dropout, float32 [..., heads, q, k].
        """
        q = split_heads(self.query(queries), self.heads)
        k = split_heads(self.key(keys), self.heads)
        v = split_heads(self.value(values), self.heads)
        scores = jnp.einsum("...qhc,...khc->...hqk", q * q.shape[-1] ** -0.5, k)
        weights = attention_weights(scores, key_valid)
        return self.out(mix_values(dropout(weights, self.dropout_rate, rngs), v)), weights


class CrossAttentionBlock(nnx.Module):
    """A post-norm BERT layer whose queries attend to another sequence (released code: `BertLayer_Cross`).

    Args:
        width: channels, also inside the feed-forward part.
        heads: attention heads.
        dropout_rate: dropout of the attention weights and of both residual branches in training.
    """

    def __init__(self, width: int, heads: int, *, dropout_rate: float, dtype):
        self.attention = MultiHeadAttention(width, heads, dropout_rate=dropout_rate, dtype=dtype)
        self.attention_norm = LayerNorm(width, epsilon=1e-12, dtype=dtype)
        self.ffn = FeedForward(width, width, activation=gelu, dtype=dtype)
        self.ffn_norm = LayerNorm(width, epsilon=1e-12, dtype=dtype)
        self.dropout_rate = dropout_rate

    def __call__(
        self, queries: jax.Array, context: jax.Array, *, key_valid=None, rngs: nnx.Rngs | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """queries [..., q, d], context [..., k, d], key_valid bool [..., k] -> [..., q, d] and weights
        float32 [..., heads, q, k]."""
        attended, weights = self.attention(queries, context, context, key_valid=key_valid, rngs=rngs)
        x = self.attention_norm(dropout(attended, self.dropout_rate, rngs) + queries)
        hidden = dropout(self.ffn(x), self.dropout_rate, rngs)
        return self.ffn_norm(hidden + x), weights
