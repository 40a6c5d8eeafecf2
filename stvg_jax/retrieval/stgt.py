"""STGT (arXiv:2407.11677): a frozen ViT, a graph transformer over its patches, and a Q-Former that reads the result.

Released code: GXYM/STGT, on LAVIS.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.backbones.vit import ViT, ViTConfig
from stvg_jax.family import TextSize
from stvg_jax.nn.declare import Declared, LayerNorm, Linear, constant
from stvg_jax.retrieval.family import retrieval_family
from stvg_jax.retrieval.graph import GraphConfig, GraphTransformer
from stvg_jax.retrieval.losses import STGTLossConfig
from stvg_jax.retrieval.qformer import KeysValues, QFormer, QFormerConfig, Rngs
from stvg_jax.retrieval.similarity import similarities, unit
from stvg_jax.retrieval.task import RetrievalTask
from stvg_jax.retrieval.types import Texts, Videos

_FIRST_TEMPERATURE = 0.07


@dataclasses.dataclass(frozen=True)
class STGTConfig:
    """Every hyper-parameter of the model; the defaults are the released MSR-VTT.

    Attributes:
        embedding: channels of the embeddings of videos and texts.
        max_tokens: tokens of the longest text, with start and end.
    """

    vit: ViTConfig = ViTConfig()
    graph: GraphConfig = GraphConfig()
    qformer: QFormerConfig = QFormerConfig()
    embedding: int = 256
    max_tokens: int = 36

    def __post_init__(self):
        if self.vit.width % self.graph.heads:
            raise ValueError(f"vit.width is {self.vit.width}; it must be a multiple of graph.heads, {self.graph.heads}")
        if self.max_tokens > self.qformer.positions:
            raise ValueError(
                f"max_tokens is {self.max_tokens}; it must be at most qformer.positions, {self.qformer.positions}"
            )


class STGT(nnx.Module):
    """The whole model; a `stvg_jax.retrieval.types.RetrievalModel`.

    Args:
        config: see STGTConfig.
        dtype: of the computation, for example bfloat16; parameters are float32 always.
    """

    def __init__(self, config: STGTConfig = STGTConfig(), *, dtype: Any = jnp.float32):
        width = config.vit.width
        self.config, self.dtype = config, dtype
        self.vit = ViT(config.vit, dtype=dtype)
        self.graph = GraphTransformer(config.graph, width, config.vit.grid, dtype=dtype)
        self.video_norm = LayerNorm(width, epsilon=1e-5, dtype=dtype)
        self.qformer = QFormer(config.qformer, width, dtype=dtype)
        self.video_projection = Linear(config.qformer.width, config.embedding, dtype=dtype)
        self.text_projection = Linear(config.qformer.width, config.embedding, dtype=dtype)
        self.match_head = Linear(config.qformer.width, 2, dtype=dtype)
        self.temperature = nnx.Param(Declared((), constant(_FIRST_TEMPERATURE)))

    def video_features(self, frames: jax.Array) -> jax.Array:
        """Tokens [b, t, 1 + patches, d] of normalised frames, float [b, t, h, w, 3], by the frozen ViT."""
        b, t = frames.shape[:2]
        tokens = self.vit(frames.reshape(b * t, *frames.shape[2:]))
        return jax.lax.stop_gradient(tokens.reshape(b, t, *tokens.shape[1:]))

    def encode_features(self, features: jax.Array, *, rngs: Rngs = None) -> Videos:
        """The part of `encode_videos` after `video_features`; `rngs` is the stream `dropout`, to train."""
        tokens = self.video_norm(self.graph(features.astype(self.dtype), rngs=rngs))
        queries, _ = self.qformer.read(self.qformer.memory(tokens), rngs=rngs)
        return Videos(tokens, unit(self.video_projection(queries)))

    def encode_videos(self, frames: jax.Array, *, rngs: Rngs = None) -> Videos:
        """Encodes normalised frames, float [b, t, h, w, 3]; of 8 frames come 264 tokens and of one 257."""
        return self.encode_features(self.video_features(frames), rngs=rngs)

    def encode_texts(self, ids: jax.Array, valid: jax.Array, *, rngs: Rngs = None) -> Texts:
        """Encodes ids int32 [b, l], valid bool [b, l], by the state of their first token."""
        return Texts(unit(self.text_projection(self.qformer.encode_text(ids, valid, rngs=rngs)[:, 0])))

    def similarity(self, videos: jax.Array, texts: jax.Array) -> jax.Array:
        """Largest cosine over a video's embeddings: [v, q, e] and [t, e] -> float32 [v, t]."""
        return similarities(videos, texts)

    def video_memory(self, tokens: jax.Array) -> tuple[KeysValues, ...]:
        """Keys and values of the cross-attention of tokens [n, d] of one video, or [p, n, d] of several."""
        return self.qformer.memory(tokens)

    def match(self, memory: tuple[KeysValues, ...], ids: jax.Array, valid: jax.Array) -> jax.Array:
        """Probabilities float32 [p] that texts describe a video; arguments as those of `match_logits`."""
        return jax.nn.softmax(self.match_logits(memory, ids, valid))[:, 1]

    def match_logits(
        self, memory: tuple[KeysValues, ...], ids: jax.Array, valid: jax.Array, *, rngs: Rngs = None
    ) -> jax.Array:
        """Logits of a text describing another video and this one.

        Args:
            memory: of one video, or of p videos, one for each text.
            ids: int32 [p, l].
            valid: bool [p, l].
            rngs: stream `dropout`, to train.

        Returns:
            float32 [p, 2].
        """
        queries = self.qformer.match(memory, ids, valid, rngs=rngs)
        return self.match_head(queries).astype(jnp.float32).mean(axis=1)

    def caption_ids(self, ids: jax.Array) -> jax.Array:
        """Texts int32 [b, l] as captions, which start with a token of their own, the last of the vocabulary."""
        return ids.at[:, 0].set(self.config.qformer.vocab_size - 1)


@dataclasses.dataclass(frozen=True)
class STGTLearningRates:
    """Learning rates; the default is the released fine-tuning.

    Attributes:
        base: everything but the ViT, which stays as pre-trained, and the graph's table of positions, which stays as
            drawn.
    """

    base: float = 2.5e-5


FAMILY = retrieval_family(
    STGTConfig,
    STGT,
    STGTLossConfig,
    STGTLearningRates,
    groups=lambda config: ((r"vit/.*|graph/positions", "frozen"), (r".*", "base")),
    task=RetrievalTask,
    text=lambda config: TextSize(config.qformer.vocab_size, config.max_tokens, "bert"),
    picture=lambda config: config.vit.image,
    formats=("stvg_jax.convert.formats.stgt",),
)
