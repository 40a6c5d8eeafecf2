"""Multi-head attention: its parts as pure functions, and modules of it."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.nn.declare import LayerNorm, Linear
from stvg_jax.nn.keys import DropoutKeys
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
    return masked_softmax(scores, None if key_valid is None else key_valid[..., None, None, :])


def masked_softmax(scores: jax.Array, mask: jax.Array | None) -> jax.Array:
    """Softmax over the last axis in float32, of scores where `mask` is True; `mask` is bool, broadcastable, or None."""
    scores = scores.astype(jnp.float32)
    if mask is not None:
        scores = jnp.where(mask, scores, jnp.finfo(jnp.float32).min)
    return jax.nn.softmax(scores, axis=-1)


def mix_values(weights: jax.Array, values: jax.Array) -> jax.Array:
    """weights [..., heads, q, k], values [..., k, heads, c] -> [..., q, heads * c]."""
    mixed = jnp.einsum("...hqk,...khc->...qhc", weights.astype(values.dtype), values)
    return mixed.reshape(*mixed.shape[:-2], -1)


class MultiHeadAttention(nnx.Module):
    """Scaled dot-product attention with its four projections (Vaswani et al. 2017, section 3.2.2).

    Args:
        width: channels of queries and result.
        heads: number of heads.
        context_width: channels of keys and values; None for `width`.
        key_bias: whether keys have a bias.
        dropout_rate: dropout of the attention weights in training.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        context_width: int | None = None,
        key_bias: bool = True,
        dropout_rate: float = 0.0,
        dtype,
    ):
        context_width = width if context_width is None else context_width
        self.query = Linear(width, width, dtype=dtype)
        self.key = Linear(context_width, width, use_bias=key_bias, dtype=dtype)
        self.value = Linear(context_width, width, dtype=dtype)
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
        rngs: nnx.Rngs | DropoutKeys | None = None,
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
        mask = None if key_valid is None else key_valid[..., None, :]
        return self.attend(queries, *self.project(keys, values), mask=mask, rngs=rngs)

    def project(self, keys: jax.Array, values: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Projected keys and values, each [..., k, d] -> [..., k, heads, c]."""
        return split_heads(self.key(keys), self.heads), split_heads(self.value(values), self.heads)

    def attend(
        self,
        queries: jax.Array,
        keys: jax.Array,
        values: jax.Array,
        *,
        mask: jax.Array | None = None,
        rngs: nnx.Rngs | DropoutKeys | None = None,
    ) -> tuple[jax.Array, jax.Array]:
        """Attends from queries [..., q, d] to results of `project`, which may lack leading axes.

        `mask` is bool [..., q or 1, k], True where a query sees a key. The result is that of `__call__`.
        """
        q = split_heads(self.query(queries), self.heads)
        scores = jnp.einsum("...qhc,...khc->...hqk", q * q.shape[-1] ** -0.5, keys)
        weights = masked_softmax(scores, None if mask is None else mask[..., None, :, :])
        return self.out(mix_values(dropout(weights, self.dropout_rate, rngs), values)), weights


class PreNormBlock(nnx.Module):
    """Self-attention and feed-forward, each after a norm: the block of vision transformers.

    Args:
        width: channels.
        heads: attention heads.
        hidden: channels inside the feed-forward part.
        activation: its elementwise function.
        epsilon: of both norms.
        key_bias: whether keys have a bias.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        *,
        activation: Callable[[jax.Array], jax.Array] = gelu,
        epsilon: float = 1e-5,
        key_bias: bool = True,
        dtype,
    ):
        self.attention_norm = LayerNorm(width, epsilon=epsilon, dtype=dtype)
        self.attention = MultiHeadAttention(width, heads, key_bias=key_bias, dtype=dtype)
        self.ffn_norm = LayerNorm(width, epsilon=epsilon, dtype=dtype)
        self.ffn = FeedForward(width, hidden, activation=activation, dtype=dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        """x [..., n, width] -> the same shape."""
        normed = self.attention_norm(x)
        x = x + self.attention(normed, normed, normed)[0]
        return x + self.ffn(self.ffn_norm(x))


class PostNormBlock(nnx.Module):
    """Self-attention and feed-forward, each before a norm: the block of BERT and RoBERTa.

    Args:
        width: channels.
        heads: attention heads.
        hidden: channels inside the feed-forward part.
        epsilon: of both norms.
        dropout_rate: dropout of the attention weights and of both results in training.
    """

    def __init__(self, width: int, heads: int, hidden: int, *, epsilon: float, dropout_rate: float, dtype):
        self.attention = MultiHeadAttention(width, heads, dropout_rate=dropout_rate, dtype=dtype)
        self.attention_norm = LayerNorm(width, epsilon=epsilon, dtype=dtype)
        self.ffn = FeedForward(width, hidden, activation=gelu, dtype=dtype)
        self.ffn_norm = LayerNorm(width, epsilon=epsilon, dtype=dtype)
        self.dropout_rate = dropout_rate

    def __call__(self, x: jax.Array, valid: jax.Array | None, rngs: nnx.Rngs | DropoutKeys | None) -> jax.Array:
        """x [b, l, width], valid bool [b, l] or None -> [b, l, width]."""
        attended, _ = self.attention(x, x, x, key_valid=valid, rngs=rngs)
        x = self.attention_norm(x + dropout(attended, self.dropout_rate, rngs))
        return self.ffn_norm(x + dropout(self.ffn(x), self.dropout_rate, rngs))


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
