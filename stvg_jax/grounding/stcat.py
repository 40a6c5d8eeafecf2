"""STCAT (Jin et al., NeurIPS 2022): decoders that start from a template of the video; appearance and text alone."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.backbones.resnet import ResNet, ResNetConfig
from stvg_jax.backbones.roberta import Roberta, RobertaConfig
from stvg_jax.backbones.video_swin import VideoSwinConfig
from stvg_jax.family import Rules
from stvg_jax.grounding.base import GroundingConfig, TextProjection
from stvg_jax.grounding.encoder import TransformerConfig
from stvg_jax.grounding.family import grounding_family
from stvg_jax.grounding.inference.clip import ClipConfig
from stvg_jax.grounding.losses import CommonLossConfig, sum_over_videos
from stvg_jax.grounding.stcat_decoders import AnchoredDecoder, ContentDecoder
from stvg_jax.grounding.stcat_encoder import AppearanceFeatures, SpatioTemporalEncoder, Template
from stvg_jax.grounding.step_sizes import fit_backend, least_bytes
from stvg_jax.grounding.targets import GroundingTargets, TargetCounts
from stvg_jax.grounding.task import CommonLearningRates, learning_rate_rules
from stvg_jax.grounding.types import GroundingBatch, GroundingOutput, TrueTube
from stvg_jax.nn.declare import Linear
from stvg_jax.nn.layers import MLP

if TYPE_CHECKING:
    from stvg_jax.runtime.memory import Rows

# Keeps logarithms finite (reference: `eps` of `loss_guided_attn`).
_EPSILON = 1e-6


@dataclasses.dataclass(frozen=True)
class STCATConfig:
    """Every hyper-parameter of the model; the defaults are the released models.

    Attributes:
        resnet, roberta, transformer: the parts.
        frozen_backbones: whether the first part of the image backbone and its batch norms stay as pre-trained, as in
            the release; False to train from scratch.
        subject: whether the text begins with the words that name the target; the released models read the sentence
            alone.
    """

    resnet: ResNetConfig = ResNetConfig()
    roberta: RobertaConfig = RobertaConfig()
    transformer: TransformerConfig = TransformerConfig()
    frozen_backbones: bool = True
    subject: bool = False

    @property
    def words(self) -> tuple[int, int]:
        """Sizes of the appearance and the motion vocabulary: none."""
        return 0, 0

    @property
    def reads_subject(self) -> bool:
        """As `GroundingConfig.reads_subject`."""
        return self.subject


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class STCATOutput(GroundingOutput):
    """Predictions of STCAT.

    Attributes:
        attention: float32 [k, b, t, t], weights of the temporal decoder's attention over time, before dropout, averaged
            over heads: how much each frame (third axis) looks at each (fourth axis).
    """

    attention: jax.Array = dataclasses.field(kw_only=True)

    def row(self, index: int) -> GroundingOutput:
        """The predictions for one video as `GroundingOutput.row` gives them, without attention."""
        common = {field.name: getattr(self, field.name) for field in dataclasses.fields(GroundingOutput)}
        return GroundingOutput(**common).row(index)


@dataclasses.dataclass(frozen=True)
class STCATLossConfig(CommonLossConfig):
    """Weights of the loss; the defaults are the released HC-STVG v1.

    Attributes:
        guided_attention: weight of the term of this name, layered: what frames outside the tube cost by the attention
            that they pay to single frames. The release takes the weights after dropout, of which one above 0.9 would
            make the loss NaN; here they are taken before.
    """

    start_end: float = 10.0
    guided_attention: float = 1.0

    def terms(
        self, output: GroundingOutput, targets: GroundingTargets, counts: TargetCounts | None = None
    ) -> dict[str, jax.Array]:
        """`grounding_losses`, and with them "guided_attention" [k]."""
        assert isinstance(output, STCATOutput)
        counts = TargetCounts.of(targets) if counts is None else counts
        guided = sum_over_videos(_guided_attention(output.attention, targets), targets) / counts.videos
        return {**super().terms(output, targets, counts), "guided_attention": guided}


@dataclasses.dataclass(frozen=True)
class STCATLearningRates(CommonLearningRates):
    """Learning rates; the defaults are the released HC-STVG v1."""

    base: float = 1e-4
    image_backbone: float = 2e-5
    temporal_decoder: float = 1e-4


class STCAT(nnx.Module):
    """The whole model. `__call__` grounds a batch; `encode_video` and `ground` are its two halves.

    Args:
        config: see STCATConfig.
        dtype: of the computation, for example bfloat16; parameters are float32 always.
    """

    def __init__(self, config: STCATConfig = STCATConfig(), *, dtype: Any = jnp.float32):
        transformer = config.transformer
        width, rate = transformer.width, transformer.head_dropout_rate
        self.config = config
        self.resnet = ResNet(config.resnet, dtype=dtype)
        self.appearance_projection = Linear(config.resnet.out_channels, width, dtype=dtype)
        self.roberta = Roberta(config.roberta, dtype=dtype)
        self.text_projection = TextProjection(
            config.roberta.width, width, dropout_rate=transformer.dropout_rate, dtype=dtype
        )
        self.encoder = SpatioTemporalEncoder(transformer, dtype=dtype)
        self.template = Template(width, dtype=dtype)
        self.spatial_decoder = AnchoredDecoder(transformer, dtype=dtype)
        self.temporal_decoder = ContentDecoder(transformer, dtype=dtype)
        self.box_head = MLP((width, width, width, 4), dtype=dtype)
        self.start_end_head = MLP((width, width, 2), dropout_rate=rate, dtype=dtype)
        self.actioness_head = MLP((width, width, 1), dropout_rate=rate, dtype=dtype)

    def __call__(self, batch: GroundingBatch, *, rngs: nnx.Rngs | None = None) -> STCATOutput:
        """Grounds each sentence in its video.

        Args:
            batch: see GroundingBatch.
            rngs: stream `dropout`, to train; None at inference.
        """
        video = self.encode_video(batch.frames, batch.frames_valid, batch.sizes)
        return self.ground(video, batch.text_ids, batch.text_valid, rngs=rngs)

    def predict_to_train(self, batch: GroundingBatch, truth: TrueTube, *, rngs: nnx.Rngs | None) -> STCATOutput:
        """The output that the losses are computed of; the truth is not needed."""
        return self(batch, rngs=rngs)

    def encode_video(
        self,
        frames: jax.Array,
        frames_valid: jax.Array | None = None,
        sizes: jax.Array | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> AppearanceFeatures:
        """Runs the image backbone, which has no dropout; arguments as in GroundingBatch."""
        b, t, h, w, _ = frames.shape
        image_sizes = None if sizes is None else jnp.repeat(sizes, t, axis=0)
        features = self.resnet(frames.reshape(b * t, h, w, 3), image_sizes)
        return AppearanceFeatures(
            appearance=self.appearance_projection(features.reshape(b, t, *features.shape[1:])),
            frames_valid=frames_valid,
            sizes=None if sizes is None else -(-sizes // self.config.resnet.stride),
        )

    def ground(
        self,
        video: AppearanceFeatures,
        text_ids: jax.Array,
        text_valid: jax.Array | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> STCATOutput:
        """Grounds sentences in videos whose features are known.

        Args:
            video: of `encode_video`.
            text_ids, text_valid: as in GroundingBatch.
            rngs: stream `dropout`, to train; None at inference.
        """
        text = self.text_projection(self.roberta(text_ids, text_valid, rngs=rngs), rngs=rngs)
        encoded = self.encoder(video, text, text_valid, rngs=rngs)
        content, anchor_logits = self.template(encoded.frame_tokens, encoded.video_token)
        boxes = self.spatial_decoder.decode(jax.nn.sigmoid(anchor_logits), encoded, self.box_head, rngs=rngs)
        states, attention = self.temporal_decoder(content, encoded, rngs=rngs)
        rows = states.swapaxes(0, 1)  # that dropout may have a key for each
        start_end, actioness = (
            head(rows, rngs=rngs).swapaxes(0, 1).astype(jnp.float32)
            for head in (self.start_end_head, self.actioness_head)
        )
        return STCATOutput(
            boxes_cxcywh=boxes,
            start_end_logits=start_end,
            actioness_logits=actioness[..., 0],
            attention=attention,
        )


def _guided_attention(attention: jax.Array, targets: GroundingTargets) -> jax.Array:
    """attention [k, b, t, t] -> [k, b]: the sum over frames outside the tube and over all frames that they look at,
    divided by the number of the former (reference: `loss_guided_attn`)."""
    outside, seen = ~targets.in_tube, jnp.ones_like(targets.in_tube)
    if targets.frames_valid is not None:
        outside, seen = outside & targets.frames_valid, targets.frames_valid
    cost = -jnp.log(1 - attention + _EPSILON)
    cost = jnp.where(outside[:, :, None] & seen[:, None], cost, 0).sum((-2, -1))
    return cost / (outside.sum(1) + _EPSILON)


def _with_motion(config: STCATConfig) -> GroundingConfig:
    """The configuration of a model with the same parts and a motion backbone, on whose grid it is."""
    ones = (1,) * len(config.resnet.blocks)
    swin = VideoSwinConfig(depths=ones, heads=ones)
    return GroundingConfig(config.resnet, swin, config.roberta, config.transformer, config.frozen_backbones)


def _groups(config: STCATConfig) -> Rules:
    """`learning_rate_rules` without those of motion (reference: `engine/optimizer.py`)."""
    return tuple(rule for rule in learning_rate_rules(_with_motion(config)) if not rule[0].startswith("swin/"))


def _fit(config: STCATConfig, clip: ClipConfig, *, training: bool = False) -> STCATConfig:
    """`fit_backend`; frames have fewer tokens than it thinks, so steps are smaller than they could be."""
    fitted = fit_backend(_with_motion(config), clip, training=training)
    return dataclasses.replace(config, resnet=fitted.resnet, transformer=fitted.transformer)


def _least_bytes(config: STCATConfig, rows: Rows) -> int:
    return least_bytes(_with_motion(config), rows)


FAMILY = dataclasses.replace(
    grounding_family(
        GroundingConfig,
        STCAT,
        STCATLossConfig,
        STCATLearningRates,
        groups=_groups,
        formats=("stvg_jax.convert.formats.stcat",),
    ),
    config=STCATConfig,
    uses=lambda config: (),
    fit=_fit,
    least_bytes=_least_bytes,
)
