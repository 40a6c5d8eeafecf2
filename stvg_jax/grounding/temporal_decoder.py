"""The temporal decoder, which finds the interval: one query for each frame."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.grounding.decoder import Context, DecoderInputs, Reads, attend_to_context, decoder_inputs
from stvg_jax.grounding.encoder import EncodedVideo, TransformerConfig
from stvg_jax.nn.attention import CrossAttentionBlock, MultiHeadAttention
from stvg_jax.nn.declare import LayerNorm
from stvg_jax.nn.layers import FeedForward, dropout
from stvg_jax.nn.remat import run_layer


class TemporalDecoderLayer(nnx.Module):
    """Self-attention over time, then attention of each frame's query to the tokens of that frame.

    Args:
        guided: whether the queries attend to a Context between the two.
    """

    def __init__(self, config: TransformerConfig, *, guided: bool, dtype):
        width, rate = config.width, config.dropout_rate
        self.self_attn = MultiHeadAttention(width, config.heads, dropout_rate=rate, dtype=dtype)
        self.self_norm = LayerNorm(width, epsilon=1e-5, dtype=dtype)
        if guided:
            self.context_attn = CrossAttentionBlock(width, config.heads, dropout_rate=rate, dtype=dtype)
        self.cross_attn = MultiHeadAttention(width, config.heads, dropout_rate=rate, dtype=dtype)
        self.cross_norm = LayerNorm(width, epsilon=1e-5, dtype=dtype)
        self.ffn = FeedForward(width, config.hidden, dropout_rate=rate, dtype=dtype)
        self.ffn_norm = LayerNorm(width, epsilon=1e-5, dtype=dtype)
        self.guided = guided
        self.dropout_rate = rate

    def __call__(
        self, x: jax.Array, inputs: DecoderInputs, context: Context | None, rngs: nnx.Rngs | None
    ) -> jax.Array:
        """Queries [b, t, d] -> [b, t, d]."""
        x, _ = self.attend_over_time(x, x + inputs.time, inputs, rngs)
        if self.guided:
            x = attend_to_context(self.context_attn, x, context, rngs)
        return self.read_tokens(x, x, inputs, rngs)[0]

    def attend_over_time(
        self, x: jax.Array, placed: jax.Array, inputs: DecoderInputs, rngs: nnx.Rngs | None
    ) -> tuple[jax.Array, jax.Array]:
        """The first half.

        Args:
            x: content of the queries [b, t, d].
            placed: queries and keys [b, t, d], the content with its positions.
            inputs: of the decoder.
            rngs: stream `dropout`, to train.

        Returns:
            [b, t, d], and the weights before dropout, averaged over heads, float32 [b, t, t].
        """
        attended, weights = self.self_attn(placed, placed, x, key_valid=inputs.frames_valid, rngs=rngs)
        return self.self_norm(x + dropout(attended, self.dropout_rate, rngs)), weights.mean(1)

    def read_tokens(
        self, x: jax.Array, placed: jax.Array, inputs: DecoderInputs, rngs: nnx.Rngs | None
    ) -> tuple[jax.Array, jax.Array]:
        """The second half: attention to the tokens of each query's frame, and the feed-forward part.

        Args:
            x: content of the queries [b, t, d].
            placed: the queries of the attention [b, t, d].
            inputs: of the decoder.
            rngs: stream `dropout`, to train.

        Returns:
            [b, t, d], and the weights before dropout, averaged over heads, float32 [b, t, n].
        """
        valid = None if inputs.tokens_valid is None else inputs.tokens_valid[:, None]
        keys = inputs.tokens + inputs.positions[:, None]
        read, weights = self.cross_attn(placed[:, :, None], keys, inputs.tokens, key_valid=valid, rngs=rngs)
        x = self.cross_norm(x + dropout(read[:, :, 0], self.dropout_rate, rngs))
        x = self.ffn_norm(x + dropout(self.ffn(x, rngs=rngs), self.dropout_rate, rngs))
        return x, weights[..., 0, :].mean(-2)


class TemporalDecoder(nnx.Module):
    """Layers of queries for the interval (released: `TimeDecoder` in `models/grounding_model/query_decoder.py`)."""

    def __init__(self, config: TransformerConfig, reads: Reads, *, dtype):
        self.layers = nnx.List(
            [
                TemporalDecoderLayer(config, guided=reads.context and i > 0, dtype=dtype)
                for i in range(config.decoder_layers)
            ]
        )
        self.norm = LayerNorm(config.width, epsilon=1e-5, dtype=dtype)
        self.reads = reads

    def __call__(self, queries: jax.Array, encoded: EncodedVideo, *, rngs: nnx.Rngs | None = None) -> jax.Array:
        """Queries [b, t, d] -> normalised states after every layer [k, b, t, d], without a Context."""
        inputs = decoder_inputs(encoded, self.reads)
        states = []
        for i in range(len(self.layers)):
            queries = self.step(i, queries, inputs, rngs=rngs)
            states.append(self.norm(queries))
        return jnp.stack(states)

    def step(
        self,
        i: int,
        queries: jax.Array,
        inputs: DecoderInputs,
        context: Context | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> jax.Array:
        """Runs layer i on queries [b, t, d] -> [b, t, d], before `norm`."""
        return run_layer(self.layers[i], queries, inputs, context, rngs=rngs)
