"""The spatial decoder, which finds the boxes: one query and one anchor box for each frame."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.grounding.decoder import Context, DecoderInputs, Reads, attend_to_context, decoder_inputs
from stvg_jax.grounding.encoder import EncodedVideo, TransformerConfig
from stvg_jax.nn.attention import (
    CrossAttentionBlock,
    MultiHeadAttention,
    attention_weights,
    mix_values,
    split_heads,
)
from stvg_jax.nn.declare import LayerNorm, Linear
from stvg_jax.nn.layers import MLP, FeedForward, dropout
from stvg_jax.nn.positions import anchor_positions
from stvg_jax.nn.remat import run_layer


class SpatialDecoderLayer(nnx.Module):
    """A decoder layer of Conditional DETR (Meng et al. 2021, section 3.3) along time, with its names of projections.

    Args:
        first: True for the first layer, the only one that adds positions to the content part of its cross-attention.
        guided: whether the queries attend to a Context between self- and cross-attention.
    """

    def __init__(self, config: TransformerConfig, *, first: bool, guided: bool, dtype):
        width, rate = config.width, config.dropout_rate

        def projection():
            return Linear(width, width, dtype=dtype)

        self.sa_qcontent_proj = projection()
        self.sa_qpos_proj = projection()
        self.sa_qtime_proj = projection()
        self.sa_kcontent_proj = projection()
        self.sa_kpos_proj = projection()
        self.sa_ktime_proj = projection()
        self.sa_v_proj = projection()
        self.self_attn = MultiHeadAttention(width, config.heads, dropout_rate=rate, dtype=dtype)
        self.self_norm = LayerNorm(width, epsilon=1e-5, dtype=dtype)
        if guided:
            self.context_attn = CrossAttentionBlock(width, config.heads, dropout_rate=rate, dtype=dtype)
        self.ca_qcontent_proj = projection()
        self.ca_qpos_proj = projection() if first else None
        self.ca_qpos_sine_proj = projection()
        self.ca_kcontent_proj = projection()
        self.ca_kpos_proj = projection()
        self.ca_v_proj = projection()
        self.ca_out_proj = projection()
        self.cross_norm = LayerNorm(width, epsilon=1e-5, dtype=dtype)
        self.ffn = FeedForward(width, config.hidden, dropout_rate=rate, dtype=dtype)
        self.ffn_norm = LayerNorm(width, epsilon=1e-5, dtype=dtype)
        self.heads = config.heads
        self.guided = guided
        self.dropout_rate = rate

    def __call__(
        self,
        x: jax.Array,
        anchor: jax.Array,
        anchor_sine: jax.Array,
        inputs: DecoderInputs,
        context: Context | None,
        rngs: nnx.Rngs | None,
    ) -> jax.Array:
        """Updates the queries.

        Args:
            x: content of the queries [b, t, d].
            anchor: projected position of each query's anchor box [b, t, d].
            anchor_sine: sine embedding of the anchor's centre, already scaled [b, t, d].
            inputs: of `decoder_inputs`.
            context: for a guided layer; None for no guidance.
            rngs: stream `dropout`, to train.

        Returns:
            [b, t, d].
        """
        q = self.sa_qcontent_proj(x) + self.sa_qtime_proj(inputs.time) + self.sa_qpos_proj(anchor)
        k = self.sa_kcontent_proj(x) + self.sa_ktime_proj(inputs.time) + self.sa_kpos_proj(anchor)
        attended, _ = self.self_attn(q, k, self.sa_v_proj(x), key_valid=inputs.frames_valid, rngs=rngs)
        x = self.self_norm(x + dropout(attended, self.dropout_rate, rngs))
        if self.guided:
            x = attend_to_context(self.context_attn, x, context, rngs)
        read = self._cross_attend(x, anchor, anchor_sine, inputs, rngs)
        x = self.cross_norm(x + dropout(read, self.dropout_rate, rngs))
        return self.ffn_norm(x + dropout(self.ffn(x, rngs=rngs), self.dropout_rate, rngs))

    def _cross_attend(
        self,
        x: jax.Array,
        anchor: jax.Array,
        anchor_sine: jax.Array,
        inputs: DecoderInputs,
        rngs: nnx.Rngs | None,
    ) -> jax.Array:
        """Attention of each frame's query to the tokens of that frame; arguments as in `__call__`."""
        # Queries and keys of a head have 2d channels, content beside position; values have d. The score is the sum of
        # two products, and the position half of the keys is the same for every frame.
        q_content = self.ca_qcontent_proj(x)
        k_position = self.ca_kpos_proj(inputs.positions)[:, None]
        k_content = self.ca_kcontent_proj(inputs.tokens)
        if self.ca_qpos_proj is not None:
            q_content = q_content + self.ca_qpos_proj(anchor)
            k_content = k_content + k_position
        q_position = self.ca_qpos_sine_proj(anchor_sine)
        q_content, q_position, k_content, k_position, v = (
            split_heads(a, self.heads)
            for a in (q_content, q_position, k_content, k_position, self.ca_v_proj(inputs.tokens))
        )
        scale = (2 * q_content.shape[-1]) ** -0.5
        scores = jnp.einsum("bthc,btnhc->bthn", q_content * scale, k_content)
        k_position = jnp.broadcast_to(k_position[:, 0], (x.shape[0], *k_position.shape[2:]))
        scores = scores + jnp.einsum("bthc,bnhc->bthn", q_position * scale, k_position)
        valid = None if inputs.tokens_valid is None else inputs.tokens_valid[:, None]
        weights = dropout(attention_weights(scores[..., None, :], valid), self.dropout_rate, rngs)
        return self.ca_out_proj(mix_values(weights, v)[:, :, 0])


class SpatialDecoder(nnx.Module):
    """Layers that refine one box for each frame (released: `PosDecoder`)."""

    def __init__(self, config: TransformerConfig, reads: Reads, *, dtype):
        width = config.width
        self.layers = nnx.List(
            [
                SpatialDecoderLayer(config, first=i == 0, guided=reads.context and i > 0, dtype=dtype)
                for i in range(config.decoder_layers)
            ]
        )
        self.query_scale = MLP((width, width, width), dtype=dtype)
        self.ref_point_head = MLP((2 * width, width, width), dtype=dtype)
        self.reads = reads

    def __call__(
        self, queries: jax.Array, anchors: jax.Array, encoded: EncodedVideo, box_head: MLP, *, rngs=None
    ) -> jax.Array:
        """Decodes boxes without a Context.

        Args:
            queries: [b, t, d].
            anchors: boxes (cx, cy, w, h) to start from, [b, t, 4] in [0, 1].
            encoded: output of the encoder.
            box_head: d -> 4 logits; an argument, because its parameters belong to the model.
            rngs: stream `dropout`, to train.

        Returns:
            Boxes (cx, cy, w, h) after every layer, float32 [k, b, t, 4].
        """
        inputs = decoder_inputs(encoded, self.reads)
        boxes = []
        for i in range(len(self.layers)):
            queries, box = self.step(i, queries, anchors, inputs, box_head, rngs=rngs)
            boxes.append(box)
            anchors = jax.lax.stop_gradient(box)
        return jnp.stack(boxes)

    def step(
        self,
        i: int,
        queries: jax.Array,
        anchors: jax.Array,
        inputs: DecoderInputs,
        box_head: MLP,
        context: Context | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> tuple[jax.Array, jax.Array]:
        """Runs layer i on queries [b, t, d] and anchors [b, t, 4] -> queries [b, t, d], boxes float32 [b, t, 4]."""
        width = queries.shape[-1]
        sine = anchor_positions(anchors, width // 2).astype(queries.dtype)
        anchor = self.ref_point_head(sine)
        centre = sine[..., :width]
        if i > 0:
            centre = centre * self.query_scale(queries)
        queries = run_layer(self.layers[i], queries, anchor, centre, inputs, context, rngs=rngs)
        return queries, jax.nn.sigmoid(box_head(queries).astype(jnp.float32))


class AnchorHead(nnx.Module):
    """First guess of each frame's box, from the mean of its tokens (released: `pos_fc`)."""

    def __init__(self, config: TransformerConfig, *, dtype):
        self.norm = LayerNorm(config.width, epsilon=1e-12, dtype=dtype)
        self.dense = Linear(config.width, 4, dtype=dtype)
        # The variance of four channels is sensitive to rounding, so this norm is float32 in every model.
        self.box_norm = LayerNorm(4, epsilon=1e-12, dtype=jnp.float32)
        self.dropout_rate = config.dropout_rate

    def __call__(self, frame_means: jax.Array, *, rngs: nnx.Rngs | None = None) -> jax.Array:
        """Means [b, t, d] -> boxes (cx, cy, w, h) in [0, 1], float32 [b, t, 4]."""
        hidden = self.dense(dropout(self.norm(frame_means), self.dropout_rate, rngs))
        return jax.nn.sigmoid(self.box_norm(jax.nn.relu(hidden)))
