"""STCAT (Jin et al., NeurIPS 2022): decoders that start from a template of the video; appearance and text alone."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.grounding.base import ActionessPredictor, AppearanceConfig, AppearanceEncoder, TextReader
from stvg_jax.grounding.family import grounding_family, usual_clip
from stvg_jax.grounding.losses import CommonLossConfig
from stvg_jax.grounding.stcat_decoders import AnchoredDecoder, ContentDecoder
from stvg_jax.grounding.stcat_encoder import AppearanceFeatures, SpatioTemporalEncoder, Template
from stvg_jax.grounding.task import CommonLearningRates
from stvg_jax.grounding.types import GroundingBatch, GroundingOutput, TrueTube


@dataclasses.dataclass(frozen=True)
class STCATConfig(AppearanceConfig):
    """Every hyper-parameter of the model; the defaults are the released models.

    Attributes:
        subject: whether the model reads the subject before the sentence; the released models do not.
    """

    subject: bool = False

    @property
    def reads_subject(self) -> bool:
        return self.subject


@dataclasses.dataclass(frozen=True)
class STCATLossConfig(CommonLossConfig):
    """Weights of the loss; the defaults are the released HC-STVG v1.

    Attributes:
        guided_attention: weight of the term of this name.
    """

    start_end: float = 10.0
    guided_attention: float = 1.0


@dataclasses.dataclass(frozen=True)
class STCATLearningRates(CommonLearningRates):
    """Learning rates; the defaults are the released HC-STVG v1."""

    base: float = 1e-4
    image_backbone: float = 2e-5
    temporal_decoder: float = 1e-4


class STCAT(AppearanceEncoder, TextReader, ActionessPredictor):
    """The whole model.

    Args:
        config: see STCATConfig.
        dtype: of the computation, for example bfloat16; parameters are float32 always.
    """

    def __init__(self, config: STCATConfig = STCATConfig(), *, dtype: Any = jnp.float32):
        super().__init__(config, dtype=dtype)
        transformer = config.transformer
        self._add_text_encoder(config, dtype)
        self.encoder = SpatioTemporalEncoder(transformer, dtype=dtype)
        self.template = Template(transformer.width, dtype=dtype)
        self.spatial_decoder = AnchoredDecoder(transformer, dtype=dtype)
        self.temporal_decoder = ContentDecoder(transformer, dtype=dtype)
        self._add_heads(transformer, dtype)

    def predict_to_train(self, batch: GroundingBatch, true_tube: TrueTube, *, rngs: nnx.Rngs | None) -> GroundingOutput:
        """Predictions for the losses; the true tube is not needed."""
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
        return AppearanceFeatures(self.encode_appearance(frames, sizes), frames_valid, self.grid_sizes(sizes))

    def ground(
        self,
        video: AppearanceFeatures,
        text_ids: jax.Array,
        text_valid: jax.Array | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> GroundingOutput:
        """Grounds sentences in videos whose features are known.

        Args:
            video: of `encode_video`.
            text_ids, text_valid: as in GroundingBatch.
            rngs: stream `dropout`, to train; None at inference.
        """
        text = self.encode_text(text_ids, text_valid, rngs=rngs)
        encoded = self.encoder(video, text, text_valid, rngs=rngs)
        content, anchor_logits = self.template(encoded.frame_tokens, encoded.video_token)
        boxes = self.spatial_decoder.decode(jax.nn.sigmoid(anchor_logits), encoded, self.box_head, rngs=rngs)
        states, attention = self.temporal_decoder(content, encoded, rngs=rngs)
        return GroundingOutput(boxes_cxcywh=boxes, attention=attention, **self._predict_times(states, rngs))


FAMILY = grounding_family(
    STCATConfig,
    STCAT,
    STCATLossConfig,
    STCATLearningRates,
    released_clip=functools.partial(usual_clip, resolution=448, sizing="proportional"),
    formats=("stvg_jax.convert.formats.stcat",),
)
