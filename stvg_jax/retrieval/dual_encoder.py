"""A small dual encoder: a video and a text each become one vector, and nothing reads both together.

It is made to be trained on a CPU for the generated dataset (docs/shapes.md), from the backbones of a grounding model,
whose names its own have: a ResNet and a Video Swin, which are not trained further, and a RoBERTa. A unit answers to
what a cell of a frame shows, such as a red square that moves left. A video is described by the largest and the mean
answer of each unit over all cells and frames, a text by a mean over its words. So a text may name several things that
are true of the video, in any order.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.backbones.resnet import ResNet, ResNetConfig
from stvg_jax.backbones.roberta import Roberta, RobertaConfig
from stvg_jax.backbones.video_swin import VideoSwin, VideoSwinConfig
from stvg_jax.core.pixels import imagenet_from_clip
from stvg_jax.family import TextSize
from stvg_jax.nn.declare import Declared, LayerNorm, Linear, constant
from stvg_jax.nn.keys import DropoutKeys
from stvg_jax.nn.layers import gelu
from stvg_jax.nn.masking import masked_mean
from stvg_jax.nn.positions import image_positions, time_positions
from stvg_jax.retrieval.alpro_losses import index_losses
from stvg_jax.retrieval.family import retrieval_family, usual_clip
from stvg_jax.retrieval.losses import Counts, Embeddings, PairTexts
from stvg_jax.retrieval.similarity import similarities, unit
from stvg_jax.retrieval.task import RetrievalTask
from stvg_jax.retrieval.types import Texts, Videos

_FIRST_TEMPERATURE = 0.07
_EPSILON = 1e-5
# Clips that pass through the backbones at once.
_CLIPS_PER_STEP = 4
# Units of a word, over its channels.
_WORD_UNITS = 3
_FROZEN = r"(resnet|swin|appearance_projection|motion_projection)/.*"


@dataclasses.dataclass(frozen=True)
class DualEncoderConfig:
    """Every hyper-parameter of the model.

    Attributes:
        resnet, swin: backbones for appearance and motion, whose features lie equally far apart.
        projection: channels to which the features of each are projected.
        roberta: text encoder.
        time_stride: of so many frames, the cells of one are looked at; the backbones see all.
        width, units: channels of a cell in the two layers before the pooling.
        embedding: channels of the embeddings of videos and texts.
        max_tokens: tokens of the longest text, with start and end.
    """

    resnet: ResNetConfig = ResNetConfig()
    swin: VideoSwinConfig = VideoSwinConfig()
    projection: int = 256
    roberta: RobertaConfig = RobertaConfig()
    time_stride: int = 2
    width: int = 128
    units: int = 384
    embedding: int = 256
    max_tokens: int = 48

    def __post_init__(self) -> None:
        if self.resnet.stride != self.swin.stride:
            raise ValueError(
                f"features of resnet lie {self.resnet.stride} pixels apart, those of swin {self.swin.stride}; choose "
                "blocks, patch and depths that give the same distance"
            )
        if self.projection % 4:
            raise ValueError(f"projection is {self.projection}; it must be a multiple of 4, for positions")
        if self.time_stride < 1:
            raise ValueError(f"time_stride is {self.time_stride}; it must be at least 1")
        if self.max_tokens > self.roberta.max_tokens:
            raise ValueError(
                f"max_tokens is {self.max_tokens}; roberta.positions is {self.roberta.positions}, enough for "
                f"{self.roberta.max_tokens}"
            )


class DualEncoder(nnx.Module):
    """The whole model; a `stvg_jax.retrieval.types.RetrievalModel`.

    Args:
        config: see DualEncoderConfig.
        dtype: of the computation, for example bfloat16; parameters are float32 always.
    """

    def __init__(self, config: DualEncoderConfig = DualEncoderConfig(), *, dtype: Any = jnp.float32):
        self.config, self.dtype = config, dtype
        projection, width, units, words = config.projection, config.width, config.units, config.roberta.width
        self.resnet = ResNet(config.resnet, dtype=dtype)
        self.swin = VideoSwin(config.swin, dtype=dtype)
        self.appearance_projection = Linear(config.resnet.out_channels, projection, dtype=dtype)
        self.motion_projection = Linear(config.swin.out_channels, projection, dtype=dtype)
        self.appearance_norm = LayerNorm(projection, epsilon=_EPSILON, dtype=dtype)
        self.motion_norm = LayerNorm(projection, epsilon=_EPSILON, dtype=dtype)
        self.cell = Linear(2 * projection, width, dtype=dtype)
        self.position = Linear(projection, width, use_bias=False, dtype=dtype)
        self.cell_norm = LayerNorm(width, epsilon=_EPSILON, dtype=dtype)
        self.cell_units = Linear(width, units, dtype=dtype)
        self.video_embedding = Linear(2 * units, config.embedding, dtype=dtype)
        self.roberta = Roberta(config.roberta, dtype=dtype)
        self.word_units = Linear(words, _WORD_UNITS * words, dtype=dtype)
        self.text_embedding = Linear(_WORD_UNITS * words, config.embedding, dtype=dtype)
        self.temperature = nnx.Param(Declared((), constant(_FIRST_TEMPERATURE)))

    def encode_videos(self, frames: jax.Array, *, rngs: DropoutKeys | None = None) -> Videos:
        """Encodes normalised frames, float [b, t, h, w, 3]; a video has one embedding."""
        return self.encode_features(self.video_features(frames), rngs=rngs)

    def video_features(self, frames: jax.Array) -> jax.Array:
        """Projected features of both backbones, which are not trained, of some of the frames.

        Args:
            frames: as for `encode_videos`.

        Returns:
            [b, t', h', w', 2 * projection].
        """

        def features(frames: jax.Array) -> jax.Array:
            looks = self.appearance_projection(self.resnet(frames))
            moves = self.motion_projection(self.swin(frames[None])[0])
            return jnp.concatenate([looks, moves], axis=-1)[:: self.config.time_stride]

        return jax.lax.map(features, imagenet_from_clip(frames), batch_size=_CLIPS_PER_STEP)

    def encode_features(self, features: jax.Array, *, rngs: DropoutKeys | None = None) -> Videos:
        """Encodes videos by their features, as `video_features` gives them. `rngs` is not used: there is no dropout."""
        b, t, h, w, _ = features.shape
        looks, moves = jnp.split(features.astype(self.dtype), 2, axis=-1)
        cells = jnp.concatenate([self.appearance_norm(looks), self.motion_norm(moves)], axis=-1)
        channels = self.config.projection
        positions = image_positions(h, w, channels) + time_positions(t, channels)[:, None, None]
        seen = gelu(self.cell(cells) + self.position(positions.astype(self.dtype)))
        units = jax.nn.relu(self.cell_units(self.cell_norm(seen)))
        # The largest value says whether something is seen anywhere, at any time; the mean also how much of it.
        said = jnp.concatenate([units.max(axis=(1, 2, 3)), units.mean(axis=(1, 2, 3))], axis=-1)[:, None]
        return Videos(said, unit(self.video_embedding(said)))

    def encode_texts(self, ids: jax.Array, valid: jax.Array, *, rngs: DropoutKeys | None = None) -> Texts:
        """Encodes ids int32 [b, l], valid bool [b, l]."""
        said = gelu(self.word_units(self.roberta(ids, valid, rngs=rngs)))
        return Texts(unit(self.text_embedding(masked_mean(said, valid[..., None], axis=1))))

    def similarity(self, videos: jax.Array, texts: jax.Array) -> jax.Array:
        """Cosine: [v, 1, e] and [t, e] -> float32 [v, t]."""
        return similarities(videos, texts)

    def video_memory(self, tokens: jax.Array) -> jax.Array:
        """The tokens themselves, of which `match` reads nothing."""
        return tokens

    def match(self, memory: jax.Array, ids: jax.Array, valid: jax.Array) -> jax.Array:
        """0 for every text, float32 [p]: re-ranking changes nothing."""
        return jnp.zeros(len(ids), jnp.float32)


@dataclasses.dataclass(frozen=True)
class DualEncoderLossConfig:
    """Weight of the only term.

    Attributes:
        contrastive: cross-entropy of cosines against a pair's own index, both ways.
    """

    contrastive: float = 1.0

    def terms(
        self,
        model: DualEncoder,
        whole: Embeddings,
        texts: PairTexts,
        rows: jax.Array,
        counts: Counts,
        key: jax.Array | None,
    ) -> dict[str, jax.Array]:
        """See `stvg_jax.retrieval.task.Losses`."""
        losses = index_losses(whole, rows, texts.real, model.temperature[...])
        return {"contrastive": jnp.where(texts.real[rows], losses, 0).sum() / counts.pairs}


@dataclasses.dataclass(frozen=True)
class DualEncoderLearningRates:
    """Peak learning rates of the groups.

    Attributes:
        base: everything but the text encoder.
        text: RoBERTa.
    """

    base: float = 1e-3
    text: float = 1e-3


# Clips for which `prepare frames --family` stores frames: four a second of generated videos, in their own proportions.
_CLIP = {"frames": 16, "resolution": 64, "frame_rule": "middle", "training_frame_rule": "middle", "sizing": "padded"}

FAMILY = retrieval_family(
    DualEncoderConfig,
    DualEncoder,
    DualEncoderLossConfig,
    DualEncoderLearningRates,
    groups=lambda config: ((_FROZEN, "frozen"), (r"roberta/.*", "text"), (r".*", "base")),
    task=RetrievalTask,
    text=lambda config: TextSize(config.roberta.vocab_size, config.max_tokens),
    released_clip=lambda rules: usual_clip(rules, **_CLIP),
)
