"""Pointing: the encoder learns where in a frame the target is, before there is a decoder that draws boxes.

The released systems start from MDETR, whose encoder has related words to regions of images in millions of captions.
Where there is no such start, grounding has to teach it through boxes, and does so slowly, above all what verbs mean: a
wrong box says little about which word was misread. Here each cell of the feature grid is asked whether the target is
there, once by what the encoder has made of its appearance token and once by its motion token; decoders have no part in
it. A step asks about one frame of each video, because others of the same video tell little more: the middle one of its
tube within the frames that the loader has drawn. What is learned is a start for any model (`config.train.initialise`).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from stvg_jax.grounding.base import CrossModalModel, GroundingConfig
from stvg_jax.grounding.family import grounding_family
from stvg_jax.grounding.losses import sum_over_videos
from stvg_jax.grounding.regions import region_weights
from stvg_jax.grounding.targets import GroundingTargets, TargetCounts
from stvg_jax.grounding.task import encoder_rules
from stvg_jax.grounding.types import GroundingBatch, TrueTube, VideoFeatures
from stvg_jax.nn.declare import Linear


@dataclasses.dataclass(frozen=True)
class PointingConfig(GroundingConfig):
    """Of a grounding model, those parts that come before its decoders.

    Attributes:
        subject: whether the text begins with the words that name the target, as TA-STVG's does and CG-STVG's does not.
    """

    subject: bool = True

    @property
    def reads_subject(self) -> bool:
        return self.subject


@dataclasses.dataclass(frozen=True)
class PointingLossConfig:
    """Weights of the terms of `pointing_losses`."""

    appearance_pointing: float = 1.0
    motion_pointing: float = 1.0

    def terms(
        self, output: PointingOutput, targets: GroundingTargets, counts: TargetCounts | None = None
    ) -> dict[str, jax.Array]:
        """See `pointing_losses`."""
        return pointing_losses(output, targets, counts)


@dataclasses.dataclass(frozen=True)
class PointingLearningRates:
    """The full learning rate of each group.

    Attributes:
        base: encoder, projections of the visual features, heads; the video backbone, unless backbones are frozen.
        image_backbone: ResNet; from its second stage on, if backbones are frozen.
        text: RoBERTa and the projection of its tokens.
    """

    base: float = 1e-3
    image_backbone: float = 1e-4
    text: float = 1e-3


def pointing_learning_rate_rules(config: PointingConfig) -> tuple[tuple[str, str], ...]:
    """As `stvg_jax.grounding.task.learning_rate_rules`."""
    return (*encoder_rules(config), (r".*", "base"))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PointingOutput:
    """Where the target is said to be in one frame of each video, float32.

    Attributes:
        appearance_logits, motion_logits: [b, n], over the cells of the feature grid; padding has the lowest there is.
        share: [b, n], how much of the true box's weight is in each cell, sums to 1; 0 in videos without a tube.
    """

    appearance_logits: jax.Array
    motion_logits: jax.Array
    share: jax.Array


class Pointing(CrossModalModel):
    """The parts of a grounding model before its decoders, under the same names, with heads of their own.

    Args:
        config: see PointingConfig.
        dtype: of the computation; parameters are float32 always.
    """

    def __init__(self, config: PointingConfig, *, dtype: Any):
        super().__init__(config, dtype=dtype)
        self.appearance_head = Linear(config.transformer.width, 1, dtype=dtype)
        self.motion_head = Linear(config.transformer.width, 1, dtype=dtype)

    def predict_to_train(self, batch: GroundingBatch, truth: TrueTube, *, rngs=None) -> PointingOutput:
        """What the losses are computed of; arguments as for `GroundingModel.predict_to_train`."""
        middle = middle_frame(truth.in_tube)

        def pick(frames: jax.Array) -> jax.Array:
            return jnp.take_along_axis(frames, middle.reshape(-1, *(1,) * (frames.ndim - 1)), axis=1)

        # What changes is seen in all frames, how things look in the one asked about.
        motion = pick(self.encode_motion(batch.frames, batch.frames_valid, batch.sizes, rngs=rngs))
        _, _, h, w, _ = motion.shape
        sizes = self.grid_sizes(batch.sizes)
        video = VideoFeatures(self.encode_appearance(pick(batch.frames), batch.sizes), motion, None, sizes)
        text = self.encode_text(batch.text_ids, batch.text_valid, rngs=rngs)
        encoded = self.encoder(video, text, batch.text_valid, rngs=rngs)
        weights = region_weights("cells", pick(truth.finite_boxes), (h, w), sizes)[:, 0]
        share = weights / jnp.maximum(weights.sum(-1, keepdims=True), 1)

        def point(head: Linear, tokens: jax.Array) -> jax.Array:
            logits = head(tokens)[:, 0, :, 0].astype(jnp.float32)
            if encoded.grid_valid is None:
                return logits
            return jnp.where(encoded.grid_valid, logits, jnp.finfo(jnp.float32).min)

        return PointingOutput(
            appearance_logits=point(self.appearance_head, encoded.appearance),
            motion_logits=point(self.motion_head, encoded.motion),
            share=jnp.where(truth.in_tube.any(-1, keepdims=True), share, 0),
        )


def middle_frame(in_tube: jax.Array) -> jax.Array:
    """in_tube bool [b, t] -> int [b], the middle of each tube, the first of two; 0 where there is no tube."""
    passed = jnp.cumsum(in_tube, axis=1)
    return jnp.argmax(2 * passed >= passed[:, -1:], axis=1)


def pointing_losses(
    output: PointingOutput, targets: GroundingTargets, counts: TargetCounts | None = None
) -> dict[str, jax.Array]:
    """Every term apart and unweighted, float32 scalars: sums over videos divided by the number of videos.

    `appearance_pointing` and `motion_pointing` are the cross-entropy of a softmax over a frame's cells against the
    share that each has of the true box.

    Args:
        output: of `Pointing.predict_to_train`.
        targets: of the same batch.
        counts: of the whole batch that this one is a part of; None when it is the whole.
    """
    counts = TargetCounts.of(targets) if counts is None else counts
    terms = {"appearance_pointing": output.appearance_logits, "motion_pointing": output.motion_logits}
    return {
        name: sum_over_videos(optax.softmax_cross_entropy(logits, output.share), targets) / counts.videos
        for name, logits in terms.items()
    }


FAMILY = grounding_family(
    PointingConfig,
    Pointing,
    PointingLossConfig,
    PointingLearningRates,
    groups=pointing_learning_rate_rules,
    protocol=None,
)
