"""CG-STVG (Gu et al., CVPR 2024): each decoding stage is guided by features inside the boxes of the one before."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.grounding.base import GroundingConfig, GroundingModel
from stvg_jax.grounding.decoder import Reads, decoder_inputs
from stvg_jax.grounding.encoder import EncodedVideo
from stvg_jax.grounding.family import grounding_family
from stvg_jax.grounding.instance_context import (
    ContextConfig,
    InstanceContext,
    choose_context_frames,
    choose_true_frames,
)
from stvg_jax.grounding.losses import CommonLossConfig
from stvg_jax.grounding.regions import pool_regions
from stvg_jax.grounding.spatial_decoder import SpatialDecoder
from stvg_jax.grounding.task import CommonLearningRates
from stvg_jax.grounding.temporal_decoder import TemporalDecoder
from stvg_jax.grounding.types import GroundingBatch, GroundingOutput, TrueTube, VideoFeatures

# Both decoders read all tokens, and only appearance tokens keep their positions.
_STREAMS = ("appearance", "text", "motion")


@dataclasses.dataclass(frozen=True)
class CGSTVGConfig(GroundingConfig):
    """Every hyper-parameter of the model; the defaults are the released HC-STVG v1 model.

    Attributes:
        context: settings of the instance context.
        subject: whether the model reads the subject before the sentence, as TA-STVG does; the released models read the
            sentence alone.
    """

    context: ContextConfig = ContextConfig()
    subject: bool = False

    @property
    def reads_subject(self) -> bool:
        return self.subject

    @property
    def uses(self) -> tuple[tuple[str, str], ...]:
        """Rules for the parameters of the context: a video uses a layer's attention to the context if the stage before
        it chose any frame, and the MLPs of the context if any stage but the last did. (The released code skips these
        parts otherwise, so that they have no gradient: `ca2`, `gf_mlp`, `gf_mlp2`.)"""
        layers = range(1, self.transformer.decoder_layers)
        return (
            (r"instance_context/(appearance|motion)_mlp/.*", "context"),
            *((rf"(spatial|temporal)_decoder/layers/{i}/context_attn/.*", f"context_{i}") for i in layers),
        )


@dataclasses.dataclass(frozen=True)
class CGSTVGLossConfig(CommonLossConfig):
    """Weights of the loss terms; the defaults are the released HC-STVG v1 and v2.

    Attributes:
        confidence: weight of `confidence`.
    """

    start_end: float = 10.0
    confidence: float = 1.0


@dataclasses.dataclass(frozen=True)
class CGSTVGLearningRates(CommonLearningRates):
    """Learning rates; the defaults are the released HC-STVG v1 and v2."""

    base: float = 3e-4
    image_backbone: float = 2e-5
    temporal_decoder: float = 1e-4


@dataclasses.dataclass
class _Decoded:
    """Outputs of the decoding stages, one entry for each.

    Attributes:
        states: [b, t, d], of the temporal decoder.
        boxes_cxcywh: float32 [b, t, 4].
        confidences: float32 [b, t]; empty for a model that does not judge its boxes.
        guided: bool [b], videos for which the stage chose any frame for the context of the next; empty without context.
    """

    states: list[jax.Array] = dataclasses.field(default_factory=list)
    boxes_cxcywh: list[jax.Array] = dataclasses.field(default_factory=list)
    confidences: list[jax.Array] = dataclasses.field(default_factory=list)
    guided: list[jax.Array] = dataclasses.field(default_factory=list)


class CGSTVG(GroundingModel):
    """The whole model.

    Args:
        config: hyper-parameters.
        dtype: of the computation, for example bfloat16; parameters are float32 always.
    """

    config: CGSTVGConfig

    def __init__(self, config: CGSTVGConfig = CGSTVGConfig(), *, dtype: Any = jnp.float32):
        super().__init__(config, dtype=dtype)
        context, transformer = config.context, config.transformer
        spatial = Reads(_STREAMS, placed="appearance", context=context.generate)
        temporal = Reads(_STREAMS, placed="appearance", context=context.guide_temporal)
        self.temporal_decoder = TemporalDecoder(transformer, temporal, dtype=dtype)
        self.spatial_decoder = SpatialDecoder(transformer, spatial, dtype=dtype)
        if context.generate:
            self.instance_context = InstanceContext(context, transformer, dtype=dtype)

    def predict_to_train(self, batch: GroundingBatch, true_tube: TrueTube, *, rngs: nnx.Rngs | None) -> GroundingOutput:
        """Predictions for the losses; the true tube decides which frames give context."""
        return self(batch, true_tube=true_tube, rngs=rngs)

    def ground(
        self,
        video: VideoFeatures,
        text_ids: jax.Array,
        text_valid: jax.Array | None = None,
        *,
        true_tube: TrueTube | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> GroundingOutput:
        """Grounds sentences in videos whose features are known.

        Args:
            video: output of `encode_video`.
            text_ids, text_valid: as in GroundingBatch.
            true_tube: chooses the frames that give context, in training; None to choose them by predicted scores.
            rngs: stream `dropout`, to train; None at inference.
        """
        text = self.encode_text(text_ids, text_valid, rngs=rngs)
        encoded = self.encoder(video, text, text_valid, rngs=rngs)
        decoded = self._decode(video, encoded, true_tube, rngs)
        return GroundingOutput(
            boxes_cxcywh=jnp.stack(decoded.boxes_cxcywh),
            confidences=jnp.stack(decoded.confidences) if decoded.confidences else None,
            uses={} if true_tube is None else _uses(decoded.guided),
            **self._predict_times(jnp.stack(decoded.states), rngs),
        )

    def _decode(
        self, video: VideoFeatures, encoded: EncodedVideo, true_tube: TrueTube | None, rngs: nnx.Rngs | None
    ) -> _Decoded:
        """Runs the layers of both decoders, each stage of the spatial one guided by the stage before it."""
        config, out = self.config.context, _Decoded()
        anchors = self.anchor_head(encoded.frame_means, rngs=rngs)
        zeros = jnp.zeros_like(encoded.frame_means)
        inputs = decoder_inputs(encoded, self.spatial_decoder.reads)
        if not config.guide_temporal:
            out.states += list(self.temporal_decoder(zeros, encoded, rngs=rngs))
        temporal = spatial = zeros
        context = None
        for i in range(len(self.spatial_decoder.layers)):
            if config.guide_temporal:
                temporal = self.temporal_decoder.step(i, temporal, inputs, context, rngs=rngs)
                out.states.append(self.temporal_decoder.norm(temporal))
            spatial, boxes = self.spatial_decoder.step(i, spatial, anchors, inputs, self.box_head, context, rngs=rngs)
            out.boxes_cxcywh.append(boxes)
            anchors = jax.lax.stop_gradient(boxes)
            if not config.generate:
                continue
            appearance, motion = self._pool(video, encoded, anchors)
            confidence = None
            if config.judges_boxes:
                confidence = self.instance_context.confidence(appearance, motion, rngs=rngs)
                out.confidences.append(confidence)
            if true_tube is None:
                actioness = self._actioness(out.states[-1])
                chosen = choose_context_frames(config, actioness, confidence, encoded.frames_valid)
            else:
                chosen = choose_true_frames(config, anchors, true_tube, encoded.frames_valid)
            context = self.instance_context(appearance, motion, chosen)
            out.guided.append(context.valid.any(1))
        return out

    def _pool(self, video: VideoFeatures, encoded: EncodedVideo, boxes_cxcywh: jax.Array) -> list[jax.Array]:
        """Mean appearance and motion features inside boxes [b, t, 4] -> [b, t, d] each."""
        _, _, h, w, _ = video.appearance.shape
        maps = encoded.appearance, encoded.motion
        return pool_regions(self.config.context.pooling, boxes_cxcywh, (h, w), video.sizes, *maps)


def _uses(guided: list[jax.Array]) -> dict[str, jax.Array]:
    """Uses by the names of `CGSTVGConfig.uses`, from the videos that each stage guides the next in, bool [b] each. The
    last stage guides none."""
    if not guided:
        return {}
    layers = {f"context_{i}": rows for i, rows in enumerate(guided[:-1], start=1)}
    return {"context": functools.reduce(jnp.logical_or, layers.values(), jnp.zeros_like(guided[0])), **layers}


FAMILY = grounding_family(
    CGSTVGConfig, CGSTVG, CGSTVGLossConfig, CGSTVGLearningRates, formats=("stvg_jax.convert.formats.cg_stvg",)
)
