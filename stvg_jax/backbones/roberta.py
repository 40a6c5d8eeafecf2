"""RoBERTa (Liu et al. 2019, arXiv:1907.11692): token ids to the last hidden state."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.nn.attention import PostNormBlock
from stvg_jax.nn.declare import Embed, LayerNorm
from stvg_jax.nn.keys import DropoutKeys
from stvg_jax.nn.layers import dropout
from stvg_jax.nn.remat import run_layer


@dataclasses.dataclass(frozen=True)
class RobertaConfig:
    """Architecture of a RoBERTa; the defaults are RoBERTa-base.

    Attributes:
        vocab_size: rows of the token table.
        width: hidden channels.
        layers: transformer blocks.
        heads: attention heads.
        hidden: channels inside the feed-forward parts.
        positions: rows of the position table; no token has the first two (positions start at padding's id + 1).
        dropout_rate: dropout in training.
    """

    vocab_size: int = 50265
    width: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072
    positions: int = 514
    dropout_rate: float = 0.1

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest text, including start and end tokens."""
        return self.positions - _FIRST_POSITION


_FIRST_POSITION = 2
_EPSILON = 1e-5


class Embeddings(nnx.Module):
    """Sum of token, position and (one) type embeddings, then a norm."""

    def __init__(self, config: RobertaConfig, *, dtype):
        self.word_embeddings = Embed(config.vocab_size, config.width, dtype=dtype)
        # BERT draws all tables alike and learns from billions of words. A small training needs words that stand out.
        self.position_embeddings = Embed(config.positions, config.width, std=0.005, dtype=dtype)
        self.token_type_embeddings = Embed(1, config.width, std=0.005, dtype=dtype)
        self.norm = LayerNorm(config.width, epsilon=_EPSILON, dtype=dtype)
        self.dropout_rate = config.dropout_rate

    def __call__(self, ids: jax.Array, rngs: nnx.Rngs | DropoutKeys | None) -> jax.Array:
        """ids int32 [b, l] -> [b, l, width]. Texts are padded at the end, so positions need no mask."""
        positions = jnp.arange(_FIRST_POSITION, _FIRST_POSITION + ids.shape[1])
        x = self.word_embeddings(ids) + self.position_embeddings(positions)
        x = x + self.token_type_embeddings(jnp.zeros_like(positions))
        return dropout(self.norm(x), self.dropout_rate, rngs)


class Roberta(nnx.Module):
    """The encoder without its pooler."""

    def __init__(self, config: RobertaConfig = RobertaConfig(), *, dtype: Any = jnp.float32):
        self.embeddings = Embeddings(config, dtype=dtype)
        block = {"epsilon": _EPSILON, "dropout_rate": config.dropout_rate, "dtype": dtype}
        self.layers = nnx.List(
            [PostNormBlock(config.width, config.heads, config.hidden, **block) for _ in range(config.layers)]
        )
        self.max_tokens = config.max_tokens

    def __call__(
        self, ids: jax.Array, valid: jax.Array | None = None, *, rngs: nnx.Rngs | DropoutKeys | None = None
    ) -> jax.Array:
        """Last hidden state of right-padded texts.

        Args:
            ids: int32 [b, l].
            valid: bool [b, l], True for real tokens; None if no text is padded.
            rngs: stream `dropout` in training; None in inference.

        Returns:
            [b, l, width].

        Raises:
            ValueError: l exceeds the position table.
        """
        if ids.shape[1] > self.max_tokens:
            raise ValueError(f"a text has {ids.shape[1]} tokens; the text encoder takes at most {self.max_tokens}")
        x = self.embeddings(ids, rngs)
        for layer in self.layers:
            x = run_layer(layer, x, valid, rngs=rngs)
        return x
