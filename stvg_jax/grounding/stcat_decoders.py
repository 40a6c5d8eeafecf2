"""STCAT's decoders: boxes as offsets from anchors, and times with the video's content in every query."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.grounding.decoder import DecoderInputs, Reads
from stvg_jax.grounding.encoder import TransformerConfig
from stvg_jax.grounding.spatial_decoder import SpatialDecoder
from stvg_jax.grounding.stcat_encoder import EncodedClip
from stvg_jax.grounding.temporal_decoder import TemporalDecoderLayer
from stvg_jax.nn.declare import LayerNorm
from stvg_jax.nn.layers import MLP
from stvg_jax.nn.remat import run_layer

# Keeps logits of anchors finite (released: `inverse_sigmoid`).
_EPSILON = 1e-3
_READS = Reads(("appearance", "text"), placed="appearance")


def clamped_logit(x: jax.Array) -> jax.Array:
    """log(x / (1 - x)), float32, where x in [0, 1] and 1 - x count as 1e-3 at least."""
    return jnp.log(jnp.maximum(x, _EPSILON) / jnp.maximum(1 - x, _EPSILON))


class AnchoredDecoder(SpatialDecoder):
    """Moves one anchor per frame, layer by layer (released: `TransformerDecoder` in `query_decoder.py`).

    The box head runs twice on each layer: on the state as it is, for the anchor of the next layer, and on the normed
    state, for the layer's answer. Both are offsets from the layer's own anchor, in logits.
    """

    def __init__(self, config: TransformerConfig, *, dtype):
        super().__init__(config, _READS, dtype=dtype)
        self.norm = LayerNorm(config.width, epsilon=1e-5, dtype=dtype)

    def decode(
        self,
        queries: jax.Array,
        anchors: jax.Array,
        encoded: EncodedClip,
        box_head: MLP,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> jax.Array:
        """Decodes boxes.

        Args:
            queries: [b, t, d]; zeros in the released models.
            anchors: boxes (cx, cy, w, h) to start from, float32 [b, t, 4] in [0, 1].
            encoded: from the encoder.
            box_head: d -> 4 logits.
            rngs: stream `dropout`, to train.

        Returns:
            Boxes (cx, cy, w, h) after every layer, float32 [k, b, t, 4].
        """
        inputs = encoded.decoder_inputs
        boxes = []
        seen = anchors
        for i in range(len(self.layers)):
            queries, _ = self.step(i, queries, seen, inputs, box_head, rngs=rngs)
            boxes.append(_move(anchors, box_head(self.norm(queries))))
            # A layer's answer has a gradient into the anchor that it moves; what the layer looks at has none.
            anchors = _move(seen, box_head(queries))
            seen = jax.lax.stop_gradient(anchors)
        return jnp.stack(boxes)


def _move(anchors: jax.Array, offsets: jax.Array) -> jax.Array:
    """Boxes float32 [..., 4] from anchors in [0, 1] and offsets in logits, [..., 4] each."""
    return jax.nn.sigmoid(offsets.astype(jnp.float32) + clamped_logit(anchors))


class ContentDecoderLayer(TemporalDecoderLayer):
    """A layer whose queries carry a content besides their time (released: `TimeDecoderLayer`)."""

    def __call__(
        self, x: jax.Array, content: jax.Array, inputs: DecoderInputs, rngs: nnx.Rngs | None
    ) -> tuple[jax.Array, jax.Array]:
        """One layer.

        Args:
            x: [b, t, d].
            content: [b, 1, d], added to the queries of both attentions and to the keys of the first.
            inputs: `EncodedClip.decoder_inputs`.
            rngs: stream `dropout`, to train.

        Returns:
            [b, t, d], and the weights of the attention over time before dropout, averaged over heads,
            float32 [b, t, t].
        """
        x, weights = self.attend_over_time(x, x + content + inputs.time, inputs, rngs)
        return self.read_tokens(x, x + content, inputs, rngs)[0], weights


class ContentDecoder(nnx.Module):
    """Layers of queries for the interval (released: `TimeDecoder` in `models/grounding_model/query_decoder.py`)."""

    def __init__(self, config: TransformerConfig, *, dtype):
        self.layers = nnx.List(
            [ContentDecoderLayer(config, guided=False, dtype=dtype) for _ in range(config.decoder_layers)]
        )
        self.norm = LayerNorm(config.width, epsilon=1e-5, dtype=dtype)

    def __call__(
        self, x: jax.Array, content: jax.Array, encoded: EncodedClip, *, rngs: nnx.Rngs | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """Queries x [b, t, d], zeros in the released models, and content [b, d] -> the normed state after every layer
        [k, b, t, d], and the layers' weights of attention over time, float32 [k, b, t, t]."""
        content = content[:, None]
        states, attention = [], []
        for layer in self.layers:
            x, weights = run_layer(layer, x, content, encoded.decoder_inputs, rngs=rngs)
            states.append(self.norm(x))
            attention.append(weights)
        return jnp.stack(states), jnp.stack(attention)
