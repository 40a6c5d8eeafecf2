"""STCAT (Jin et al., NeurIPS 2022): decoders that start from a template of the video; appearance and text alone.

The queries may be target-aware (`stvg_jax.grounding.query_config`), as in TA-STVG's study of other models. They are
made from the encoder's tokens and stand where the released model starts from zeros; the template stays.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.grounding.base import ActionessPredictor, AppearanceEncoder, TextReader
from stvg_jax.grounding.family import grounding_family, usual_clip
from stvg_jax.grounding.losses import CommonLossConfig
from stvg_jax.grounding.query_config import AppearanceQueryConfig
from stvg_jax.grounding.query_generation import FoundTarget, QueryTokens, TargetQueries, decode_chosen
from stvg_jax.grounding.stcat_decoders import AnchoredDecoder, ContentDecoder
from stvg_jax.grounding.stcat_encoder import AppearanceFeatures, EncodedClip, SpatioTemporalEncoder, Template
from stvg_jax.grounding.task import CommonLearningRates
from stvg_jax.grounding.types import GroundingBatch, GroundingOutput, TrueTube

TEMPORAL_STARTS = ("query", "zeros")


@dataclasses.dataclass(frozen=True)
class STCATConfig(AppearanceQueryConfig):
    """Every hyper-parameter of the model; the defaults are the released models.

    Attributes:
        subject: whether the model reads the subject before the sentence; the released models do not.
        temporal_start: content of the temporal decoder's queries when those of the spatial decoder are target-aware:
            "query", the same, or "zeros".
    """

    subject: bool = False
    temporal_start: str = "query"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temporal_start not in TEMPORAL_STARTS:
            raise ValueError(
                f"temporal_start is {self.temporal_start!r}; it must be one of {', '.join(TEMPORAL_STARTS)}"
            )

    @property
    def reads_subject(self) -> bool:
        return self.subject or super().reads_subject


@dataclasses.dataclass(frozen=True)
class STCATLossConfig(CommonLossConfig):
    """Weights of the loss; the defaults are the released HC-STVG v1.

    Attributes:
        guided_attention: weight of the term of this name.
        appearance_sampling, appearance_attributes: weights of the terms of these names, of target-aware queries.
    """

    start_end: float = 10.0
    guided_attention: float = 1.0
    appearance_sampling: float = 1.0
    appearance_attributes: float = 1.0


@dataclasses.dataclass(frozen=True)
class STCATLearningRates(CommonLearningRates):
    """Learning rates; the defaults are the released HC-STVG v1.

    Attributes:
        target_queries: the classifiers of target-aware queries; as TA-STVG, two and a half times `base`.
    """

    base: float = 1e-4
    image_backbone: float = 2e-5
    temporal_decoder: float = 1e-4
    target_queries: float = 2.5e-4


class STCAT(AppearanceEncoder, TextReader, ActionessPredictor):
    """The whole model.

    Args:
        config: see STCATConfig.
        dtype: of the computation, for example bfloat16; parameters are float32 always.
    """

    def __init__(self, config: STCATConfig = STCATConfig(), *, dtype: Any = jnp.float32):
        super().__init__(config, dtype=dtype)
        self.config: STCATConfig = config
        transformer = config.transformer
        self._add_text_encoder(config, dtype)
        self.encoder = SpatioTemporalEncoder(transformer, dtype=dtype)
        self.template = Template(transformer.width, dtype=dtype)
        self.target_queries = TargetQueries(config, {"appearance": config.appearance_words}, dtype=dtype)
        self.spatial_decoder = AnchoredDecoder(transformer, dtype=dtype)
        self.temporal_decoder = ContentDecoder(transformer, dtype=dtype)
        self._add_heads(transformer, dtype)

    def predict_to_train(self, batch: GroundingBatch, true_tube: TrueTube, *, rngs: nnx.Rngs | None) -> GroundingOutput:
        """Predictions for the losses, after one decoding pass; the true tube is used with `oracle` only."""
        return self(batch, true_tube=true_tube, second_pass=False, rngs=rngs)

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
        true_tube: TrueTube | None = None,
        second_pass: bool | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> GroundingOutput:
        """Grounds sentences in videos whose features are known.

        Args:
            video: of `encode_video`.
            text_ids, text_valid: as in GroundingBatch.
            true_tube: of the same videos, for a model with `oracle`.
            second_pass: overrides the setting of the configuration; training uses False.
            rngs: stream `dropout`, to train; None at inference.
        """
        text = self.encode_text(text_ids, text_valid, rngs=rngs)
        encoded = self.encoder(video, text, text_valid, rngs=rngs)
        template = self.template(encoded.frame_tokens, encoded.video_token)
        _, _, h, w, _ = video.appearance.shape
        tokens = QueryTokens.of_decoder(encoded.decoder_inputs, (h, w), video.sizes)
        found = self.target_queries.find(tokens, true_tube, rngs=rngs)
        (boxes, states, attention), chosen = decode_chosen(
            found,
            self.config,
            lambda chosen: self._decode(encoded, template, found, chosen, rngs),
            lambda decoded: self._actioness(decoded[1][-1]),
            second_pass=second_pass,
        )
        output = GroundingOutput(boxes_cxcywh=boxes, attention=attention, **self._predict_times(states, rngs))
        return found.add_to(output, chosen)

    def _decode(
        self,
        encoded: EncodedClip,
        template: tuple[jax.Array, jax.Array],
        found: FoundTarget,
        chosen: jax.Array,
        rngs: nnx.Rngs | None,
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Boxes [k, b, t, 4], and states and weights of the temporal decoder, from queries of the chosen frames."""
        content, anchor_logits = template
        query = found.query("appearance", chosen)
        anchors = jax.nn.sigmoid(anchor_logits)
        boxes = self.spatial_decoder.decode(query, anchors, encoded, self.box_head, rngs=rngs)
        start = jnp.zeros_like(query) if self.config.temporal_start == "zeros" else query
        return boxes, *self.temporal_decoder(start, content, encoded, rngs=rngs)


FAMILY = grounding_family(
    STCATConfig,
    STCAT,
    STCATLossConfig,
    STCATLearningRates,
    released_clip=functools.partial(usual_clip, resolution=448, sizing="proportional"),
    formats=("stvg_jax.convert.formats.stcat",),
)
