"""BERT (Devlin et al. 2019, arXiv:1810.04805): embeddings, and layers that may be run in parts."""

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

_EPSILON = 1e-12


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """Architecture of a BERT; the defaults are BERT-base, uncased.

    Attributes:
        vocab_size: rows of the token table.
        width: hidden channels.
        layers: transformer blocks.
        heads: attention heads.
        hidden: channels inside the feed-forward parts.
        positions: rows of the position table, the largest number of tokens.
        dropout_rate: dropout in training.
    """

    vocab_size: int = 30522
    width: int = 768
    layers: int = 12
    heads: int = 12
    hidden: int = 3072
    positions: int = 512
    dropout_rate: float = 0.1

    def __post_init__(self):
        if self.width % self.heads:
            raise ValueError(f"width is {self.width}; it must be a multiple of heads, {self.heads}")


class Bert(nnx.Module):
    """Embeddings of tokens, positions and the first of two types, and layers; without a pooler."""

    def __init__(self, config: BertConfig = BertConfig(), *, dtype: Any = jnp.float32):
        self.words = Embed(config.vocab_size, config.width, dtype=dtype)
        self.positions = Embed(config.positions, config.width, dtype=dtype)
        self.types = Embed(2, config.width, dtype=dtype)
        self.norm = LayerNorm(config.width, epsilon=_EPSILON, dtype=dtype)
        block = {"epsilon": _EPSILON, "dropout_rate": config.dropout_rate, "dtype": dtype}
        self.layers = nnx.List(
            [PostNormBlock(config.width, config.heads, config.hidden, **block) for _ in range(config.layers)]
        )
        self.config = config

    def embed(self, ids: jax.Array, *, rngs: nnx.Rngs | DropoutKeys | None = None) -> jax.Array:
        """States before the first layer.

        Args:
            ids: int32 [b, l], padded at the end.
            rngs: stream `dropout`, to train.

        Returns:
            [b, l, width].

        Raises:
            ValueError: l exceeds the position table.
        """
        length = ids.shape[1]
        if length > self.config.positions:
            raise ValueError(f"a text has {length} tokens; the text encoder takes at most {self.config.positions}")
        x = self.words(ids) + self.positions(jnp.arange(length)) + self.types(jnp.zeros(length, jnp.int32))
        return dropout(self.norm(x), self.config.dropout_rate, rngs)

    def run(
        self,
        x: jax.Array,
        valid: jax.Array | None,
        layers: slice = slice(None),
        *,
        rngs: nnx.Rngs | DropoutKeys | None = None,
    ) -> jax.Array:
        """Some of the layers: states [b, l, width] and bool [b, l] or None -> [b, l, width]."""
        for layer in self.layers[layers]:
            x = run_layer(layer, x, valid, rngs=rngs)
        return x
