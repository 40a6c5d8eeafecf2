"""Q-Former (Li et al. 2023, arXiv:2301.12597): learned queries read a video, alone or together with a text.

It is BERT with two feed-forward parts in each layer, one for queries and one for text tokens, and with cross-attention
of the queries in every second layer. Four modes share its weights: queries, text, both together, and the text as a
caption that is predicted from the queries.
"""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.nn.attention import MultiHeadAttention
from stvg_jax.nn.declare import Declared, Embed, LayerNorm, Linear, normal, zeros
from stvg_jax.nn.keys import DropoutKeys
from stvg_jax.nn.layers import FeedForward, dropout, gelu
from stvg_jax.nn.remat import run_layer

_EPSILON = 1e-12
# Queries attend to the video in the first of this many layers.
_CROSS_EVERY = 2

# Projected keys and values of a layer, each [..., k, heads, c].
KeysValues: TypeAlias = tuple[jax.Array, jax.Array]
Rngs: TypeAlias = nnx.Rngs | DropoutKeys | None


@dataclasses.dataclass(frozen=True)
class QFormerConfig:
    """Architecture of a Q-Former; the defaults are BLIP-2's and STGT's.

    Attributes:
        vocab_size: rows of the token table: BERT's, and one more for the start of a caption.
        width: channels.
        layers: transformer layers.
        heads: attention heads.
        hidden: channels inside the feed-forward parts.
        positions: rows of the position table.
        queries: learned queries.
        dropout_rate: dropout in training.
    """

    vocab_size: int = 30523
    width: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072
    positions: int = 512
    queries: int = 32
    dropout_rate: float = 0.1

    def __post_init__(self):
        if self.width % self.heads:
            raise ValueError(f"width is {self.width}; it must be a multiple of heads, {self.heads}")


class FeedForwardBlock(nnx.Module):
    """Feed-forward part with its residual connection, then a norm."""

    def __init__(self, config: QFormerConfig, *, dtype):
        self.ffn = FeedForward(config.width, config.hidden, activation=gelu, dtype=dtype)
        self.norm = LayerNorm(config.width, epsilon=_EPSILON, dtype=dtype)
        self.dropout_rate = config.dropout_rate

    def __call__(self, x: jax.Array, rngs: Rngs) -> jax.Array:
        return self.norm(dropout(self.ffn(x), self.dropout_rate, rngs) + x)


class QFormerLayer(nnx.Module):
    """A post-norm layer over queries, text tokens, or queries followed by text tokens.

    Args:
        config: see QFormerConfig.
        context_width: channels of the video's tokens; None for a layer without cross-attention.
    """

    def __init__(self, config: QFormerConfig, context_width: int | None, *, dtype):
        def attention(context_width: int | None) -> MultiHeadAttention:
            rate = config.dropout_rate
            return MultiHeadAttention(
                config.width, config.heads, context_width=context_width, dropout_rate=rate, dtype=dtype
            )

        self.attention = attention(None)
        self.attention_norm = LayerNorm(config.width, epsilon=_EPSILON, dtype=dtype)
        if context_width is not None:
            self.cross_attention = attention(context_width)
            self.cross_norm = LayerNorm(config.width, epsilon=_EPSILON, dtype=dtype)
        self.query_ffn = FeedForwardBlock(config, dtype=dtype)
        self.text_ffn = FeedForwardBlock(config, dtype=dtype)
        self.has_cross_attention = context_width is not None
        self.dropout_rate = config.dropout_rate

    def __call__(
        self,
        queries: jax.Array | None,
        text: jax.Array | None,
        context: KeysValues | None,
        mask: jax.Array | None,
        past: KeysValues | None,
        rngs: Rngs,
    ) -> tuple[jax.Array | None, jax.Array | None, KeysValues]:
        """Queries [b, q, d] and text [b, l, d], either of which may be None.

        Args:
            queries, text: states.
            context: keys and values of the video, with or without a leading axis b; None in a layer without
                cross-attention, and without queries.
            mask: bool [b, q + l or 1, k], the keys that are seen; None for all.
            past: keys and values that stand before those of the states.
            rngs: stream `dropout`, to train.

        Returns:
            The new states, and the keys and values of the self-attention, without `past`.
        """
        x = jnp.concatenate([part for part in (queries, text) if part is not None], axis=1)
        own = self.attention.project(x, x)
        keys, values = own
        if past is not None:
            keys, values = (jnp.concatenate(pair, axis=1) for pair in zip(past, own, strict=True))
        attended, _ = self.attention.attend(x, keys, values, mask=mask, rngs=rngs)
        x = self.attention_norm(dropout(attended, self.dropout_rate, rngs) + x)
        count = 0 if queries is None else queries.shape[1]
        if queries is not None:
            queries = x[:, :count]
            if context is not None:
                attended, _ = self.cross_attention.attend(queries, *context, rngs=rngs)
                queries = self.cross_norm(dropout(attended, self.dropout_rate, rngs) + queries)
            queries = self.query_ffn(queries, rngs)
        return queries, None if text is None else self.text_ffn(x[:, count:], rngs), own


class CaptionHead(nnx.Module):
    """Logits of tokens; its matrix is the table of word embeddings."""

    def __init__(self, config: QFormerConfig, *, dtype):
        self.transform = Linear(config.width, config.width, dtype=dtype)
        self.norm = LayerNorm(config.width, epsilon=_EPSILON, dtype=dtype)
        self.bias = nnx.Param(Declared((config.vocab_size,), zeros))

    def __call__(self, x: jax.Array, words: jax.Array) -> jax.Array:
        """x [b, l, d] and words [vocab_size, d] -> float32 [b, l, vocab_size]."""
        x = self.norm(gelu(self.transform(x)))
        return (x @ words.astype(x.dtype).T).astype(jnp.float32) + self.bias[...]


class QFormer(nnx.Module):
    """All four modes.

    Args:
        config: see QFormerConfig.
        context_width: channels of a video's tokens.
        dtype: of the computation.
    """

    def __init__(self, config: QFormerConfig, context_width: int, *, dtype):
        self.queries = nnx.Param(Declared((config.queries, config.width), normal(0.02)))
        self.words = Embed(config.vocab_size, config.width, dtype=dtype)
        self.positions = Embed(config.positions, config.width, dtype=dtype)
        self.norm = LayerNorm(config.width, epsilon=_EPSILON, dtype=dtype)
        self.layers = nnx.List(
            [
                QFormerLayer(config, None if i % _CROSS_EVERY else context_width, dtype=dtype)
                for i in range(config.layers)
            ]
        )
        self.caption_head = CaptionHead(config, dtype=dtype)
        self.config = config
        self.dtype = dtype

    def memory(self, tokens: jax.Array) -> tuple[KeysValues, ...]:
        """Keys and values of the cross-attention of videos with tokens [..., n, d], layer by layer."""
        return tuple(
            layer.cross_attention.project(tokens, tokens) for layer in self.layers if layer.has_cross_attention
        )

    def read(self, memory: tuple[KeysValues, ...], *, rngs: Rngs = None) -> tuple[jax.Array, tuple[KeysValues, ...]]:
        """Reads videos.

        Args:
            memory: of videos with tokens [b, n, d].
            rngs: stream `dropout`, to train.

        Returns:
            The queries' states [b, q, width], and the keys and values of the self-attention of every layer, from which
            `caption` predicts.
        """
        queries = self._embed(self._queries(len(memory[0][0])), None, rngs)
        queries, _, kept = self._run(queries, None, memory, rngs=rngs)
        assert queries is not None
        return queries, kept

    def encode_text(self, ids: jax.Array, valid: jax.Array, *, rngs: Rngs = None) -> jax.Array:
        """States [b, l, width] of texts by themselves, ids int32 [b, l] and valid bool [b, l]."""
        text = self._embed(None, ids, rngs)
        _, text, _ = self._run(None, text, None, mask=valid[:, None], rngs=rngs)
        assert text is not None
        return text

    def match(
        self, memory: tuple[KeysValues, ...], ids: jax.Array, valid: jax.Array, *, rngs: Rngs = None
    ) -> jax.Array:
        """States [p, q, width] of queries that read videos and texts together.

        Args:
            memory: of one video without a leading axis, or of p videos.
            ids: int32 [p, l].
            valid: bool [p, l].
            rngs: stream `dropout`, to train.
        """
        count = self.config.queries
        both = self._embed(self._queries(len(ids)), ids, rngs)
        seen = jnp.concatenate([jnp.ones((len(ids), count), bool), valid], axis=1)
        queries, _, _ = self._run(both[:, :count], both[:, count:], memory, mask=seen[:, None], rngs=rngs)
        assert queries is not None
        return queries

    def caption(
        self, read: tuple[KeysValues, ...], ids: jax.Array, valid: jax.Array, *, rngs: Rngs = None
    ) -> jax.Array:
        """Logits of the token after each token.

        Args:
            read: keys and values of the queries, of `read`.
            ids: int32 [b, l], of which the first is the start of a caption.
            valid: bool [b, l].
            rngs: stream `dropout`, to train.

        Returns:
            float32 [b, l, vocab_size].
        """
        b, l = ids.shape
        before = jnp.tril(jnp.ones((l, l), bool)) & valid[:, None]
        seen = jnp.concatenate([jnp.ones((b, l, self.config.queries), bool), before], axis=2)
        _, text, _ = self._run(None, self._embed(None, ids, rngs), None, mask=seen, past=read, rngs=rngs)
        assert text is not None
        return self.caption_head(text, self.words.embedding[...])

    def _queries(self, count: int) -> jax.Array:
        queries = self.queries[...].astype(self.dtype)
        return jnp.broadcast_to(queries, (count, *queries.shape))

    def _embed(self, queries: jax.Array | None, ids: jax.Array | None, rngs: Rngs) -> jax.Array:
        """Queries [b, q, width], then embedded tokens."""
        parts = [] if queries is None else [queries]
        if ids is not None:
            if ids.shape[1] > self.config.positions:
                raise ValueError(f"a text has {ids.shape[1]} tokens; the model takes at most {self.config.positions}")
            parts.append(self.words(ids) + self.positions(jnp.arange(ids.shape[1])))
        return dropout(self.norm(jnp.concatenate(parts, axis=1)), self.config.dropout_rate, rngs)

    def _run(
        self,
        queries: jax.Array | None,
        text: jax.Array | None,
        memory: tuple[KeysValues, ...] | None,
        *,
        mask: jax.Array | None = None,
        past: tuple[KeysValues, ...] | None = None,
        rngs: Rngs,
    ) -> tuple[jax.Array | None, jax.Array | None, tuple[KeysValues, ...]]:
        contexts = iter(memory or ())
        kept = []
        for i, layer in enumerate(self.layers):
            context = next(contexts) if memory is not None and layer.has_cross_attention else None
            before = None if past is None else past[i]
            queries, text, own = run_layer(layer, queries, text, context, mask, before, rngs=rngs)
            kept.append(own)
        return queries, text, tuple(kept)
