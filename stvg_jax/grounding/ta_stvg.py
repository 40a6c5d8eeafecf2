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
from stvg_jax.grounding.spatial_decoder import SpatialDecoder
from stvg_jax.grounding.target_queries import (
    Activation,
    SpatialActivation,
    TemporalSampling,
    choose_frames,
    mean_over_chosen,
    pool_query,
)
from stvg_jax.grounding.task import LearningRates
from stvg_jax.grounding.temporal_decoder import TemporalDecoder
from stvg_jax.grounding.types import GroundingBatch, GroundingOutput, TrueTube, VideoFeatures
from stvg_jax.nn.masking import masked_mean

QUERY_KINDS = ("zero", "sampling", "activation", "both")


@dataclasses.dataclass(frozen=True)
class TASTVGConfig(GroundingConfig):
    """Every hyper-parameter of the model; the defaults are the released HC-STVG model.

    Attributes:
        queries: initial object queries (table 4 of the paper): "zero"; "sampling", the mean of the frames that
            text-guided temporal sampling keeps; "activation", the mean over all frames weighted by attribute-aware
            spatial activation; or "both".
        appearance_words, motion_words: sizes of the attribute vocabularies that train the activation.
        sampling_threshold: theta; frames with a higher score are kept. 0.45 for VidSTG.
        second_pass: whether to decode twice at inference, the second time with queries of the frames whose actioness
            exceeded `actioness_threshold` in the first.
        actioness_threshold: a probability.
    """

    queries: str = "both"
    appearance_words: int = 15
    motion_words: int = 60
    sampling_threshold: float = 0.7
    second_pass: bool = True
    actioness_threshold: float = 0.5

    def __post_init__(self):
        super().__post_init__()
        if self.queries not in QUERY_KINDS:
            raise ValueError(f"queries is {self.queries!r}; it must be one of {', '.join(QUERY_KINDS)}")
        if self.queries == "zero" and self.second_pass:
            raise ValueError('with queries="zero" a second pass would repeat the first; set second_pass=False')

    @property
    def samples(self) -> bool:
        """True if the model has text-guided temporal sampling."""
        return self.queries in ("sampling", "both")

    @property
    def activates(self) -> bool:
        """True if the model has attribute-aware spatial activation."""
        return self.queries in ("activation", "both")

    @property
    def words(self) -> tuple[int, int]:
        return self.appearance_words, self.motion_words

    @property
    def own_groups(self) -> tuple[tuple[str, str], ...]:
        return ((r"target_queries/.*", "target_queries"),) if self.samples or self.activates else ()


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Relevance:
    """Relevance of each frame to the text, as logits float32 [b, t], judged by each stream."""

    motion_logits: jax.Array
    appearance_logits: jax.Array

    @property
    def score(self) -> jax.Array:
        """Mean of the two probabilities, float32 [b, t]."""
        return (jax.nn.sigmoid(self.motion_logits) + jax.nn.sigmoid(self.appearance_logits)) / 2


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Activations:
    """Activation of each stream."""

    appearance: Activation
    motion: Activation


class TargetQueries(nnx.Module):
    """Classifiers that target-aware queries need, one for each stream."""

    def __init__(self, config: TASTVGConfig, *, dtype):
        width, heads = config.transformer.width, config.transformer.heads
        common = {"dropout_rate": config.transformer.dropout_rate, "dtype": dtype}
        self.config = config
        if config.samples:
            self.appearance_sampling = TemporalSampling(width, heads, **common)
            self.motion_sampling = TemporalSampling(width, heads, **common)
        if config.activates:
            self.appearance_activation = SpatialActivation(width, heads, config.appearance_words, **common)
            self.motion_activation = SpatialActivation(width, heads, config.motion_words, **common)

    def sample(self, encoded: EncodedVideo, *, rngs: nnx.Rngs | None = None) -> Relevance:
        """Judges the relevance of every frame to the text."""
        text = jax.lax.stop_gradient(_mean_text(encoded))
        places = None if encoded.grid_valid is None else encoded.grid_valid[:, None, :, None]

        def logits(classifier: TemporalSampling, tokens: jax.Array) -> jax.Array:
            pooled = masked_mean(jax.lax.stop_gradient(tokens), places, axis=2)
            return classifier(pooled, text, encoded.text_valid, rngs=rngs)

        motion = logits(self.motion_sampling, encoded.motion)
        return Relevance(motion, logits(self.appearance_sampling, encoded.appearance))

    def activate(self, encoded: EncodedVideo, *, rngs: nnx.Rngs | None = None) -> Activations:
        """Finds the subject in every frame."""
        subject = jax.lax.stop_gradient(_mean_text(encoded)[:, 0])

        def look(classifier: SpatialActivation, tokens: jax.Array) -> Activation:
            return classifier(jax.lax.stop_gradient(tokens), subject, encoded.grid_valid, rngs=rngs)

        appearance = look(self.appearance_activation, encoded.appearance)
        return Activations(appearance, look(self.motion_activation, encoded.motion))


def _mean_text(encoded: EncodedVideo) -> jax.Array:
    """Text tokens averaged over the real frames, [b, l, d]."""
    frames = None if encoded.frames_valid is None else encoded.frames_valid[:, :, None, None]
    return masked_mean(encoded.text, frames, axis=1)


class TASTVG(GroundingModel):
    """The whole model.

    Args:
        config: hyper-parameters.
        dtype: of the computation, for example bfloat16; parameters are float32 always.
    """

    config: TASTVGConfig

    def __init__(self, config: TASTVGConfig = TASTVGConfig(), *, dtype: Any = jnp.float32):
        super().__init__(config, dtype=dtype)
        self.target_queries = TargetQueries(config, dtype=dtype)
        temporal = Reads(("text", "motion"), placed="motion")
        spatial = Reads(("appearance", "text"), placed="appearance")
        self.temporal_decoder = TemporalDecoder(config.transformer, temporal, dtype=dtype)
        self.spatial_decoder = SpatialDecoder(config.transformer, spatial, dtype=dtype)

    def predict_to_train(self, batch: GroundingBatch, true_tube: TrueTube, *, rngs: nnx.Rngs | None) -> GroundingOutput:
        """Predictions for the losses, after one decoding pass; the true tube is not used."""
        return self(batch, second_pass=False, rngs=rngs)

    def ground(
        self,
        video: VideoFeatures,
        text_ids: jax.Array,
        text_valid: jax.Array | None = None,
        *,
        second_pass: bool | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> GroundingOutput:
        """Grounds sentences in videos whose features are known.

        Args:
            video: output of `encode_video`.
            text_ids, text_valid: as in GroundingBatch.
            second_pass: overrides the setting of the configuration; training uses False.
            rngs: stream `dropout`, to train; None at inference.
        """
        config = self.config
        text = self.encode_text(text_ids, text_valid, rngs=rngs)
        encoded = self.encoder(video, text, text_valid, rngs=rngs)
        anchors = self.anchor_head(encoded.frame_means, rngs=rngs)
        relevance = self.target_queries.sample(encoded, rngs=rngs) if config.samples else None
        activations = self.target_queries.activate(encoded, rngs=rngs) if config.activates else None
        if relevance is None:
            score, threshold = jnp.ones(encoded.frame_means.shape[:2], jnp.float32), 0.0
        else:
            score, threshold = relevance.score, config.sampling_threshold
        chosen = choose_frames(score, threshold, encoded.frames_valid)
        states, boxes = self._decode(encoded, anchors, activations, chosen, rngs=rngs)
        if config.second_pass if second_pass is None else second_pass:
            actioness = jax.nn.sigmoid(self._actioness(states[-1]))
            chosen = choose_frames(actioness, config.actioness_threshold, encoded.frames_valid)
            states, boxes = self._decode(encoded, anchors, activations, chosen, rngs=rngs)
        output = GroundingOutput(boxes_cxcywh=boxes, **self._predict_times(states, rngs))
        if relevance is not None:
            output = dataclasses.replace(
                output,
                motion_sampling_logits=relevance.motion_logits,
                appearance_sampling_logits=relevance.appearance_logits,
                sampling_score=score,
            )
        if activations is not None:
            output = dataclasses.replace(
                output,
                appearance_attribute_logits=mean_over_chosen(activations.appearance.word_logits, chosen),
                motion_attribute_logits=mean_over_chosen(activations.motion.word_logits, chosen),
            )
        return output

    def _decode(
        self,
        encoded: EncodedVideo,
        anchors: jax.Array,
        activations: Activations | None,
        chosen: jax.Array,
        *,
        rngs: nnx.Rngs | None,
    ) -> tuple[jax.Array, jax.Array]:
        """States of the temporal decoder [k, b, t, d] and boxes [k, b, t, 4], from queries of the chosen frames."""
        spatial, temporal = self._queries(encoded, activations, chosen)
        states = self.temporal_decoder(temporal, encoded, rngs=rngs)
        boxes = self.spatial_decoder(spatial, anchors, encoded, self.box_head, rngs=rngs)
        return states, boxes

    def _queries(
        self, encoded: EncodedVideo, activations: Activations | None, chosen: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The spatial and the temporal query, repeated for every frame: [b, t, d] each."""
        if self.config.queries == "zero":
            zeros = jnp.zeros_like(encoded.frame_means)
            return zeros, zeros
        appearance = None if activations is None else activations.appearance.weights
        motion = None if activations is None else activations.motion.weights
        spatial = pool_query(encoded.appearance, appearance, chosen, encoded.grid_valid)
        temporal = pool_query(encoded.motion, motion, chosen, encoded.grid_valid)
        shape = encoded.frame_means.shape
        return jnp.broadcast_to(spatial[:, None], shape), jnp.broadcast_to(temporal[:, None], shape)


FAMILY = grounding_family(
    TASTVGConfig, TASTVG, LossConfig, LearningRates, formats=("stvg_jax.convert.formats.ta_stvg",)
)
