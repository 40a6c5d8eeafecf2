"""A grounding family in one module: the shared encoder, and in the place of decoders one linear layer for each head."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp
from flax import nnx

from stvg_jax.convert.formats.parts import linear, mlp
from stvg_jax.convert.rules import Format
from stvg_jax.grounding.base import GroundingConfig, GroundingModel
from stvg_jax.grounding.family import grounding_family
from stvg_jax.grounding.losses import CommonLossConfig
from stvg_jax.grounding.protocol import InterleavedPasses
from stvg_jax.grounding.task import CommonLearningRates, encoder_rules
from stvg_jax.grounding.types import GroundingBatch, GroundingOutput, TrueTube, VideoFeatures
from stvg_jax.nn.declare import Linear


@dataclasses.dataclass(frozen=True)
class ToyConfig(GroundingConfig):
    """Settings of the toy; `sharpness` is its own."""

    sharpness: float = 1.0


class Toy(GroundingModel):
    """Means of the encoder's frames, through the shared heads."""

    def __init__(self, config: ToyConfig, *, dtype: Any):
        super().__init__(config, dtype=dtype)
        self.moments = Linear(config.transformer.width, config.transformer.width, dtype=dtype)

    def predict_to_train(self, batch: GroundingBatch, truth: TrueTube, *, rngs: nnx.Rngs | None) -> GroundingOutput:
        return self(batch, rngs=rngs)

    def ground(self, video: VideoFeatures, text_ids, text_valid=None, *, rngs=None) -> GroundingOutput:
        encoded = self.encoder(video, self.encode_text(text_ids, text_valid, rngs=rngs), text_valid, rngs=rngs)
        means = encoded.frame_means
        anchors = self.anchor_head(means, rngs=rngs)
        boxes = nnx.sigmoid(self.config.sharpness * self.box_head(means).astype(jnp.float32)) + 0 * anchors
        return GroundingOutput(boxes_cxcywh=boxes[None], **self._predict_times(self.moments(means)[None], rngs))


FORMAT = Format(
    name="toy",
    describes="the part of a toy that is its own",
    signature=(r"moments\..+", r"boxes\..+"),
    rules=(*linear("moments", "moments"), *mlp("boxes", "box_head")),
    fills=("(moments|box_head)/.*",),
)

# One pass over all sampled frames.
FAMILY = grounding_family(
    ToyConfig,
    Toy,
    CommonLossConfig,
    CommonLearningRates,
    groups=lambda config: (*encoder_rules(config), (".*", "base")),
    protocol=InterleavedPasses(1),
    formats=(__name__,),
)
