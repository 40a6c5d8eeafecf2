"""TA-STVG (Gu et al., ICLR 2025): a grounding model whose decoders start from target-aware queries."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.grounding.base import GroundingConfig, GroundingModel
from stvg_jax.grounding.decoder import Reads
from stvg_jax.grounding.encoder import EncodedVideo
from stvg_jax.grounding.family import grounding_family
from stvg_jax.grounding.losses import LossConfig
from stvg_jax.grounding.query_config import QueryConfig
from stvg_jax.grounding.query_generation import FoundTarget, QueryTokens, TargetQueries, decode_chosen
from stvg_jax.grounding.spatial_decoder import SpatialDecoder
from stvg_jax.grounding.task import LearningRates
from stvg_jax.grounding.temporal_decoder import TemporalDecoder
from stvg_jax.grounding.types import GroundingBatch, GroundingOutput, TrueTube, VideoFeatures


@dataclasses.dataclass(frozen=True)
class TASTVGConfig(QueryConfig, GroundingConfig):
    """Every hyper-parameter of the model; the defaults are the released HC-STVG model.

    Attributes:
        motion_words: size of the vocabulary of verbs that trains the activation; 34 for VidSTG.
    """

    queries: str = "both"
    motion_words: int = 60
    second_pass: bool = True

    @property
    def words(self) -> tuple[int, int]:
        return self.appearance_words, self.motion_words


class TASTVG(GroundingModel):
    """The whole model.

    Args:
        config: hyper-parameters.
        dtype: of the computation, for example bfloat16; parameters are float32 always.
    """

    config: TASTVGConfig

    def __init__(self, config: TASTVGConfig = TASTVGConfig(), *, dtype: Any = jnp.float32):
        super().__init__(config, dtype=dtype)
        words = {"appearance": config.appearance_words, "motion": config.motion_words}
        self.target_queries = TargetQueries(config, words, dtype=dtype)
        temporal = Reads(("text", "motion"), placed="motion")
        spatial = Reads(("appearance", "text"), placed="appearance")
        self.temporal_decoder = TemporalDecoder(config.transformer, temporal, dtype=dtype)
        self.spatial_decoder = SpatialDecoder(config.transformer, spatial, dtype=dtype)

    def predict_to_train(self, batch: GroundingBatch, true_tube: TrueTube, *, rngs: nnx.Rngs | None) -> GroundingOutput:
        """Predictions for the losses, after one decoding pass; the true tube is used with `oracle` only."""
        return self(batch, true_tube=true_tube, second_pass=False, rngs=rngs)

    def ground(
        self,
        video: VideoFeatures,
        text_ids: jax.Array,
        text_valid: jax.Array | None = None,
        *,
        true_tube: TrueTube | None = None,
        second_pass: bool | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> GroundingOutput:
        """Grounds sentences in videos whose features are known.

        Args:
            video: output of `encode_video`.
            text_ids, text_valid: as in GroundingBatch.
            true_tube: of the same videos, for a model with `oracle`.
            second_pass: overrides the setting of the configuration; training uses False.
            rngs: stream `dropout`, to train; None at inference.
        """
        text = self.encode_text(text_ids, text_valid, rngs=rngs)
        encoded = self.encoder(video, text, text_valid, rngs=rngs)
        anchors = self.anchor_head(encoded.frame_means, rngs=rngs)
        _, _, h, w, _ = video.appearance.shape
        tokens = QueryTokens.of_both_streams(encoded, (h, w), video.sizes)
        found = self.target_queries.find(tokens, true_tube, rngs=rngs)
        (states, boxes), chosen = decode_chosen(
            found,
            self.config,
            lambda chosen: self._decode(encoded, anchors, found, chosen, rngs=rngs),
            lambda decoded: self._actioness(decoded[0][-1]),
            second_pass=second_pass,
        )
        return found.add_to(GroundingOutput(boxes_cxcywh=boxes, **self._predict_times(states, rngs)), chosen)

    def _decode(
        self,
        encoded: EncodedVideo,
        anchors: jax.Array,
        found: FoundTarget,
        chosen: jax.Array,
        *,
        rngs: nnx.Rngs | None,
    ) -> tuple[jax.Array, jax.Array]:
        """States of the temporal decoder [k, b, t, d] and boxes [k, b, t, 4], from queries of the chosen frames."""
        states = self.temporal_decoder(found.query("motion", chosen), encoded, rngs=rngs)
        spatial = found.query("appearance", chosen)
        boxes = self.spatial_decoder(spatial, anchors, encoded, self.box_head, rngs=rngs)
        return states, boxes


FAMILY = grounding_family(
    TASTVGConfig, TASTVG, LossConfig, LearningRates, formats=("stvg_jax.convert.formats.ta_stvg",)
)
