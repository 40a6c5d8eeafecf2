"""ALPRO (Li et al., CVPR 2022): a TimeSformer, and a BERT whose upper half reads text and video together.

Released code: salesforce/ALPRO, and salesforce/LAVIS, whose form this is.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.backbones.bert import Bert, BertConfig
from stvg_jax.backbones.timesformer import TimeSformer, TimeSformerConfig
from stvg_jax.family import TextSize
from stvg_jax.nn.declare import Declared, Linear, constant
from stvg_jax.nn.keys import DropoutKeys
from stvg_jax.retrieval.alpro_losses import ALPROLossConfig
from stvg_jax.retrieval.family import retrieval_family
from stvg_jax.retrieval.similarity import similarities, unit
from stvg_jax.retrieval.task import RetrievalTask
from stvg_jax.retrieval.types import Texts, Videos

_FIRST_TEMPERATURE = 0.07


@dataclasses.dataclass(frozen=True)
class ALPROConfig:
    """Every hyper-parameter of the model; the defaults are the released MSR-VTT.

    Attributes:
        timesformer: video encoder.
        bert: text encoder; its upper layers are the fusion encoder.
        text_layers: layers of BERT that read the text alone.
        embedding: channels of the embeddings of videos and texts.
        max_tokens: tokens of the longest text, with start and end.
    """

    timesformer: TimeSformerConfig = TimeSformerConfig()
    bert: BertConfig = BertConfig()
    text_layers: int = 6
    embedding: int = 256
    max_tokens: int = 35

    def __post_init__(self):
        if self.timesformer.width != self.bert.width:
            raise ValueError(
                f"timesformer.width is {self.timesformer.width} and bert.width {self.bert.width}; video and text are "
                "read together, so both must be the same"
            )
        if not 0 <= self.text_layers <= self.bert.layers:
            raise ValueError(f"text_layers is {self.text_layers}; it must be between 0 and bert.layers")
        if self.max_tokens > self.bert.positions:
            raise ValueError(
                f"max_tokens is {self.max_tokens}; it must be at most bert.positions, {self.bert.positions}"
            )


class VideoTextFusion(nnx.Module):
    """The encoders of videos and texts, and of both together."""

    def __init__(self, config: ALPROConfig, *, dtype: Any):
        self.config = config
        self.timesformer = TimeSformer(config.timesformer, dtype=dtype)
        self.bert = Bert(config.bert, dtype=dtype)

    def text_states(self, ids: jax.Array, valid: jax.Array, *, rngs: DropoutKeys | None = None) -> jax.Array:
        """States [b, l, width] of texts by themselves, ids int32 [b, l] and valid bool [b, l]."""
        x = self.bert.embed(ids, rngs=rngs)
        return self.bert.run(x, valid, slice(self.config.text_layers), rngs=rngs)

    def fuse(
        self, text: jax.Array, valid: jax.Array, tokens: jax.Array, *, rngs: DropoutKeys | None = None
    ) -> jax.Array:
        """States [p, l + n, width] of texts (`text_states`, [p, l, width], and `valid`) and videos together.

        `tokens` are [n, width] of one video, or [p, n, width].
        """
        tokens = jnp.broadcast_to(tokens.astype(text.dtype), (len(text), *tokens.shape[-2:]))
        both = jnp.concatenate([text, tokens], axis=1)
        seen = jnp.concatenate([valid, jnp.ones(tokens.shape[:2], bool)], axis=1)
        return self.bert.run(both, seen, slice(self.config.text_layers, None), rngs=rngs)


class ALPRO(VideoTextFusion):
    """The model for retrieval; a `stvg_jax.retrieval.types.RetrievalModel`.

    Args:
        config: see ALPROConfig.
        dtype: of the computation, for example bfloat16; parameters are float32 always.
    """

    def __init__(self, config: ALPROConfig = ALPROConfig(), *, dtype: Any = jnp.float32):
        super().__init__(config, dtype=dtype)
        width = config.bert.width
        self.video_projection = Linear(width, config.embedding, dtype=dtype)
        self.text_projection = Linear(width, config.embedding, dtype=dtype)
        self.match_head = Linear(width, 2, dtype=dtype)
        self.temperature = nnx.Param(Declared((), constant(_FIRST_TEMPERATURE)))

    def encode_videos(self, frames: jax.Array, *, rngs: DropoutKeys | None = None) -> Videos:
        """Encodes normalised frames, float [b, t, h, w, 3]; a video has one embedding. `rngs` is not used: there is no
        dropout, and the stochastic depth of the released training is left out."""
        tokens = self.timesformer(frames)
        return Videos(tokens, unit(self.video_projection(tokens[:, :1])))

    def encode_texts(self, ids: jax.Array, valid: jax.Array, *, rngs: DropoutKeys | None = None) -> Texts:
        """Encodes ids int32 [b, l], valid bool [b, l], by the state of their first token."""
        return Texts(unit(self.text_projection(self.text_states(ids, valid, rngs=rngs)[:, 0])))

    def similarity(self, videos: jax.Array, texts: jax.Array) -> jax.Array:
        """Cosine: [v, 1, e] and [t, e] -> float32 [v, t]."""
        return similarities(videos, texts)

    def video_memory(self, tokens: jax.Array) -> jax.Array:
        """The tokens themselves, which all layers of the fusion change."""
        return tokens

    def match(self, memory: jax.Array, ids: jax.Array, valid: jax.Array) -> jax.Array:
        """Raw logits float32 [p] that texts describe a video; arguments as those of `match_logits`."""
        return self.match_logits(memory, ids, valid)[:, 1]

    def match_logits(
        self, memory: jax.Array, ids: jax.Array, valid: jax.Array, *, rngs: DropoutKeys | None = None
    ) -> jax.Array:
        """Logits of a text describing another video and this one.

        Args:
            memory: [n, width] of one video, or [p, n, width].
            ids: int32 [p, l].
            valid: bool [p, l].
            rngs: dropout keys of the rows, to train.

        Returns:
            float32 [p, 2].
        """
        fused = self.fuse(self.text_states(ids, valid, rngs=rngs), valid, memory, rngs=rngs)
        return self.match_head(fused[:, 0]).astype(jnp.float32)


class VideoAnswers(VideoTextFusion):
    """The model for questions about videos, which chooses among the most frequent answers.

    Args:
        config: see ALPROConfig.
        answers: number of answers: 1,500 for MSR-VTT, 2,423 for MSVD.
        dtype: as for ALPRO.
    """

    def __init__(self, config: ALPROConfig, answers: int, *, dtype: Any = jnp.float32):
        super().__init__(config, dtype=dtype)
        width = config.bert.width
        self.hidden = Linear(width, 2 * width, dtype=dtype)
        self.answers = Linear(2 * width, answers, dtype=dtype)

    def __call__(
        self, frames: jax.Array, ids: jax.Array, valid: jax.Array, *, rngs: DropoutKeys | None = None
    ) -> jax.Array:
        """Logits float32 [b, answers] of normalised frames [b, t, h, w, 3] and questions ids int32 [b, l], valid bool
        [b, l]."""
        tokens = self.timesformer(frames)
        fused = self.fuse(self.text_states(ids, valid, rngs=rngs), valid, tokens, rngs=rngs)
        return self.answers(jax.nn.relu(self.hidden(fused[:, 0]))).astype(jnp.float32)


@dataclasses.dataclass(frozen=True)
class ALPROLearningRates:
    """Learning rates; the default is the released fine-tuning for retrieval.

    Attributes:
        base: all parameters.
    """

    base: float = 3e-5


FAMILY = retrieval_family(
    ALPROConfig,
    ALPRO,
    ALPROLossConfig,
    ALPROLearningRates,
    groups=lambda config: ((r".*", "base"),),
    task=RetrievalTask,
    text=lambda config: TextSize(config.bert.vocab_size, config.max_tokens, "bert"),
    picture=lambda config: config.timesformer.image,
    formats=("stvg_jax.convert.formats.alpro", "stvg_jax.convert.formats.alpro_original"),
)
