"""STGT's spatio-temporal graph transformer: self-attention among the patches of neighbouring frames that are alike.

The graph is a mask: two patches are connected if the cosine of their tokens reaches a threshold and their frames are
the same or neighbours. So everything is computed in the band of each frame's patches (n) and those of the frame itself
and its two neighbours (3n). The release builds the [t * n, t * n] matrix of the whole video; the numbers are the same.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stvg_jax.nn.attention import MultiHeadAttention, PreNormBlock, masked_softmax, mix_values, split_heads
from stvg_jax.nn.declare import Declared, LayerNorm, Linear, normal
from stvg_jax.nn.keys import DropoutKeys
from stvg_jax.nn.layers import dropout, quick_gelu
from stvg_jax.nn.remat import remat_call, run_layer
from stvg_jax.retrieval.similarity import unit

_EPSILON = 1e-5


@dataclasses.dataclass(frozen=True)
class GraphConfig:
    """Architecture of the graph transformer; its width is that of the frames' tokens.

    Attributes:
        layers: graph layers.
        heads: attention heads.
        frames: rows of the table of times; clips of another length share or skip some.
        threshold: smallest cosine of two connected tokens. No checkpoint holds it: the released models were pre-trained
            with 0.1 and fine-tuned with 0.5.
        dropout_rate: dropout of the weights of the attention along the graph in training.
    """

    layers: int = 1
    heads: int = 16
    frames: int = 8
    threshold: float = 0.5
    dropout_rate: float = 0.1

    def __post_init__(self):
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold is {self.threshold}; it must be a cosine between 0 and 1")


def connections(tokens: jax.Array, threshold: float) -> jax.Array:
    """Similarities along the edges of the graph, without gradient.

    Computed in float32 whatever the rest is: rounding to bfloat16 moves similarities across the threshold, and each
    edge that appears or vanishes shows in the result.

    Args:
        tokens: [b, t, n, d], patches.
        threshold: smallest similarity of an edge.

    Returns:
        float32 [b, t, n, 3n]: the similarity of each patch to the patches of the frame before, its own and the one
        after; 0 without an edge.
    """
    units = unit(jax.lax.stop_gradient(tokens))
    similar = jnp.einsum("btnd,btmd->btnm", units, band(units), precision=jax.lax.Precision.HIGHEST)
    # The frames beyond both ends are zero, and so are similarities to them.
    return jnp.where(similar >= threshold, similar, 0.0)


def band(x: jax.Array) -> jax.Array:
    """[b, t, n, ...] -> [b, t, 3n, ...]: what stands at the frame before, the frame itself and the one after, with
    zeros beyond the ends."""
    ends = jnp.zeros_like(x[:, :1])
    before, after = jnp.concatenate([ends, x[:, :-1]], axis=1), jnp.concatenate([x[:, 1:], ends], axis=1)
    return jnp.concatenate([before, x, after], axis=2)


class GraphAttention(MultiHeadAttention):
    """Attention whose scores are multiplied by the similarities of an edge (released: `graphattn`)."""

    def along(self, tokens: jax.Array, similarities: jax.Array, rngs: nnx.Rngs | DropoutKeys | None) -> jax.Array:
        """Tokens [b, t, n, d] and `connections` [b, t, n, 3n] -> [b, t, n, d]."""
        keys, values = (band(part) for part in self.project(tokens, tokens))
        q = split_heads(self.query(tokens), self.heads)
        scores = jnp.einsum("btnhc,btmhc->bthnm", q * q.shape[-1] ** -0.5, keys).astype(jnp.float32)
        edges = similarities[:, :, None]
        weights = dropout(masked_softmax(scores * edges, edges != 0), self.dropout_rate, rngs)
        return self.out(mix_values(weights, values))


class GraphLayer(nnx.Module):
    """One layer (released: `graph_cross_model.resblocks`).

    The class tokens of all frames attend to each other, and patches along the graph; then the tokens of each frame
    attend to each other. There is no residual connection around the first projection and the attention along the graph.
    """

    def __init__(self, width: int, config: GraphConfig, *, dtype):
        def block() -> PreNormBlock:
            return PreNormBlock(width, config.heads, 4 * width, activation=quick_gelu, epsilon=_EPSILON, dtype=dtype)

        # In float32 whatever the rest is: the similarities are those of its result.
        self.project = Linear(width, width, dtype=jnp.float32)
        self.messages = block()
        self.graph_attention = GraphAttention(width, config.heads, dropout_rate=config.dropout_rate, dtype=dtype)
        self.frame_block = block()
        self.threshold = config.threshold
        self.dtype = dtype

    def __call__(self, x: jax.Array, rngs: nnx.Rngs | DropoutKeys | None) -> jax.Array:
        """Tokens [b, t, 1 + n, d], the class token first -> the same shape."""
        x = self.project(x)
        similarities = connections(x[:, :, 1:], self.threshold)
        x = x.astype(self.dtype)
        first, patches = x[:, :, 0], x[:, :, 1:]
        for _ in range(2):  # as released, with the same weights
            first = remat_call(self.messages, first)
        patches = self.graph_attention.along(patches, similarities, rngs)
        return self.frame_block(jnp.concatenate([first[:, :, None], patches], axis=2))


class GraphTransformer(nnx.Module):
    """Tokens of frames -> tokens of a video (released: `graph_cross_model`).

    Args:
        config: see GraphConfig.
        width: channels.
        grid: patches along each side of a frame.
        dtype: of the computation.
    """

    def __init__(self, config: GraphConfig, width: int, grid: int, *, dtype):
        self.times = nnx.Param(Declared((config.frames, width), normal(0.02)))
        self.positions = nnx.Param(Declared((1 + grid**2, width), normal(0.02)))
        self.layers = nnx.List([GraphLayer(width, config, dtype=dtype) for _ in range(config.layers)])
        self.norm = LayerNorm(width, epsilon=_EPSILON, dtype=dtype)
        self.out = Linear(width, width, use_bias=False, dtype=dtype)
        self.frames = config.frames
        self.grid = grid
        self.dtype = dtype

    def __call__(self, x: jax.Array, *, rngs: nnx.Rngs | DropoutKeys | None = None) -> jax.Array:
        """Mixes the frames of each video.

        Args:
            x: [b, t, 1 + grid**2, d], tokens of frames, the class token first.
            rngs: stream `dropout`, to train.

        Returns:
            [b, t * (1 + 2 * grid), d]; of a single frame [b, 1 + grid**2, d].
        """
        b, t, n, d = x.shape
        rows = np.arange(t) * self.frames // t
        x = x.astype(self.dtype) + self.times[...].astype(self.dtype)[rows][:, None]
        x = x + self.positions[...].astype(self.dtype)
        for layer in self.layers:
            x = run_layer(layer, x, rngs=rngs)
        return self.out(self.norm(self._pool(x) if t > 1 else x.reshape(b, n, d)))

    def _pool(self, x: jax.Array) -> jax.Array:
        """Of each frame the class token, the maximum of each column and that of each row."""
        b, t, _, d = x.shape
        patches = x[:, :, 1:].reshape(b, t, self.grid, self.grid, d)
        pooled = jnp.concatenate([x[:, :, :1], patches.max(axis=2), patches.max(axis=3)], axis=2)
        return pooled.reshape(b, -1, d)
