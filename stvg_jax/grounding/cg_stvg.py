"""CG-STVG (Gu et al., CVPR 2024): each decoding stage is guided by what the boxes of the stage before it hold."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.grounding.base import GroundingConfig, GroundingModel
from stvg_jax.grounding.decoder import Context, Reads, decoder_inputs
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

# Both decoders see everything, and only appearance tokens keep their positions.
_STREAMS = ("appearance", "text", "motion")


@dataclasses.dataclass(frozen=True)
class CGSTVGConfig(GroundingConfig):
    """Every hyper-parameter of the model; the defaults are the released HC-STVG v1 model.

    Attributes:
        context: how instance context is made and used.
        subject: whether the text begins with the words that name the target, as TA-STVG's does; the released models
            read the sentence alone.
    """

    context: ContextConfig = ContextConfig()
    subject: bool = False

    @property
    def reads_subject(self) -> bool:
        return self.subject

    @property
    def uses(self) -> tuple[tuple[str, str], ...]:
        """A layer's attention to the context is used by videos for which the stage before it chose frames; what makes
        the context, by those for which any stage but the last did. (In the release both are skipped otherwise, and
        have no gradient: `ca2`, `gf_mlp`, `gf_mlp2`.)"""
        layers = range(1, self.transformer.decoder_layers)
        return (
            (r"instance_context/(appearance|motion)_mlp/.*", "context"),
            *((rf"(spatial|temporal)_decoder/layers/{i}/context_attn/.*", f"context_{i}") for i in layers),
        )


@dataclasses.dataclass(frozen=True)
class CGSTVGLossConfig(CommonLossConfig):
    """Weights of the loss; the defaults are the released HC-STVG v1 and v2.

    Attributes:
        confidence: weight of the term of this name.
    """

    start_end: float = 10.0
    confidence: float = 1.0


@dataclasses.dataclass(frozen=True)
class CGSTVGLearningRates(CommonLearningRates):
    """Learning rates; the defaults are the released HC-STVG v1 and v2."""

    base: float = 3e-4
    image_backbone: float = 2e-5
    temporal_decoder: float = 1e-4


class CGSTVG(GroundingModel):
    """The whole model.

    Args:
        config: see CGSTVGConfig.
        dtype: of the computation, for example bfloat16; parameters are float32 always.
    """

    def __init__(self, config: CGSTVGConfig = CGSTVGConfig(), *, dtype: Any = jnp.float32):
        super().__init__(config, dtype=dtype)
        context, transformer = config.context, config.transformer
        spatial = Reads(_STREAMS, placed="appearance", context=context.generate)
        temporal = Reads(_STREAMS, placed="appearance", context=context.guide_temporal)
        self.temporal_decoder = TemporalDecoder(transformer, temporal, dtype=dtype)
        self.spatial_decoder = SpatialDecoder(transformer, spatial, dtype=dtype)
        if context.generate:
            self.instance_context = InstanceContext(context, transformer, dtype=dtype)

    def predict_to_train(self, batch: GroundingBatch, truth: TrueTube, *, rngs: nnx.Rngs | None) -> GroundingOutput:
        """See GroundingModel; the truth decides which frames give context."""
        return self(batch, truth=truth, rngs=rngs)

    def ground(
        self,
        video: VideoFeatures,
        text_ids: jax.Array,
        text_valid: jax.Array | None = None,
        *,
        truth: TrueTube | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> GroundingOutput:
        """Grounds sentences in videos whose features are known.

        Args:
            video: of `encode_video`.
            text_ids, text_valid: as in GroundingBatch.
            truth: chooses the frames that give context, in training; None to choose them by the model's own scores.
            rngs: stream `dropout`, to train; None at inference.
        """
        text = self.encode_text(text_ids, text_valid, rngs=rngs)
        encoded = self.encoder(video, text, text_valid, rngs=rngs)
        anchors = self.anchor_head(encoded.frame_means, rngs=rngs)
        states, boxes, confidences, guided = self._decode(video, encoded, anchors, truth, rngs)
        return GroundingOutput(
            boxes_cxcywh=boxes,
            confidences=confidences,
            uses={} if truth is None else _uses(guided),
            **self._predict_times(states, rngs),
        )

    def _decode(self, video: VideoFeatures, encoded: EncodedVideo, anchors, truth, rngs):
        """States of the temporal decoder [k, b, t, d]; boxes [k, b, t, 4]; confidences [k, b, t] or None; and of each
        stage that makes a context whether it guides the next, bool [b]."""
        config = self.config.context
        zeros = jnp.zeros_like(encoded.frame_means)
        inputs = decoder_inputs(encoded, self.spatial_decoder.reads)
        states, boxes, confidences, guided = [], [], [], []
        if not config.guide_temporal:
            states = self.temporal_decoder(zeros, encoded, rngs=rngs)
        moments = queries = zeros
        context = None
        for i in range(len(self.spatial_decoder.layers)):
            if config.guide_temporal:
                moments = self.temporal_decoder.step(i, moments, inputs, context, rngs=rngs)
                states.append(self.temporal_decoder.norm(moments))
            queries, box = self.spatial_decoder.step(i, queries, anchors, inputs, self.box_head, context, rngs=rngs)
            boxes.append(box)
            anchors = jax.lax.stop_gradient(box)
            if config.generate:
                context, confidence = self._context(video, encoded, anchors, states[-1], truth, rngs)
                confidences.append(confidence)
                guided.append(context.valid.any(1))
        judged = jnp.stack(confidences) if config.judges_boxes else None
        return jnp.stack(states), jnp.stack(boxes), judged, guided

    def _context(
        self, video: VideoFeatures, encoded: EncodedVideo, boxes, states, truth, rngs
    ) -> tuple[Context, jax.Array | None]:
        """Of the boxes [b, t, 4] and the temporal states [b, t, d] of a stage: the context for the next, and how
        confident the model is of the boxes, float32 [b, t]."""
        config = self.config.context
        grid = video.appearance.shape[2:4]
        regions = pool_regions(config.pooling, boxes, grid, video.sizes, encoded.appearance, encoded.motion)
        confidence = self.instance_context.confidence(*regions, rngs=rngs) if config.judges_boxes else None
        if truth is not None:
            chosen = choose_true_frames(config, boxes, truth, encoded.frames_valid)
        else:
            actioness = self._actioness(states)
            chosen = choose_context_frames(config, actioness, confidence, encoded.frames_valid)
        return self.instance_context(*regions, chosen), confidence


def _uses(guided: list[jax.Array]) -> dict[str, jax.Array]:
    """Whether each stage's context guides the next, bool [b] each -> uses by the names of `CGSTVGConfig.uses`. Nothing
    comes after the last stage."""
    if not guided:
        return {}
    layers = {f"context_{i}": rows for i, rows in enumerate(guided[:-1], start=1)}
    return {"context": functools.reduce(jnp.logical_or, layers.values(), jnp.zeros_like(guided[0])), **layers}


FAMILY = grounding_family(
    CGSTVGConfig, CGSTVG, CGSTVGLossConfig, CGSTVGLearningRates, formats=("stvg_jax.convert.formats.cg_stvg",)
)
