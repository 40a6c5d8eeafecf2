"""Pointing: pre-training of the encoder, which learns to say in which cells of a frame the target is.

The released systems start from MDETR, whose encoder was trained on millions of captions and regions of images. Without
such a start, a model learns the meaning of words slowly, verbs above all: a wrong box says little about which word was
misunderstood. Here linear heads classify each cell of the feature grid, one from its encoded appearance token, one from
its motion token; there are no decoders. A step uses one frame of each video, the middle one of the part of the tube
that the loader has drawn, because other frames of the same video add little. Any grounding model can start from the
result (`config.train.initialise`).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from stvg_jax.grounding.base import AppearanceConfig, CrossModalModel, GroundingConfig
from stvg_jax.grounding.family import grounding_family
from stvg_jax.grounding.losses import sum_over_videos
from stvg_jax.grounding.regions import region_weights
from stvg_jax.grounding.targets import GroundingTargets, TargetCounts
from stvg_jax.grounding.task import encoder_rules
from stvg_jax.grounding.types import GroundingBatch, TrueTube, VideoFeatures
from stvg_jax.nn.declare import Linear


@dataclasses.dataclass(frozen=True)
class PointingConfig(GroundingConfig):
    """Hyper-parameters of the parts before the decoders.

    Attributes:
        subject: whether the model reads the subject before the sentence, as TA-STVG does and CG-STVG does not.
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
    """Peak learning rates of the groups.

    Attributes:
        base: encoder, projections of the visual features, heads, and the video backbone unless backbones are frozen.
        image_backbone: ResNet, or its part from the second stage on if backbones are frozen.
        text: RoBERTa and the projection of its tokens.
    """

    base: float = 1e-3
    image_backbone: float = 1e-4
    text: float = 1e-3


def pointing_learning_rate_rules(config: AppearanceConfig) -> tuple[tuple[str, str], ...]:
    """Rules as in `stvg_jax.grounding.task.learning_rate_rules`."""
    return (*encoder_rules(config), (r".*", "base"))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class PointingOutput:
    """Predicted and true places of the target in one frame of each video, float32.

    Attributes:
        appearance_logits, motion_logits: [b, n], over the cells of the feature grid; the lowest number at padding. None
            for the motion of a model that reads none.
        share: [b, n], share of the true box in each cell, with sum 1; 0 in videos without a tube.
    """

    appearance_logits: jax.Array
    motion_logits: jax.Array | None
    share: jax.Array


class Pointing(CrossModalModel):
    """The parts of a grounding model before its decoders, under the same names, with heads for pointing.

    Args:
        config: hyper-parameters.
        dtype: of the computation; parameters are float32 always.
    """

    def __init__(self, config: PointingConfig, *, dtype: Any):
        super().__init__(config, dtype=dtype)
        self.appearance_head = Linear(config.transformer.width, 1, dtype=dtype)
        self.motion_head = Linear(config.transformer.width, 1, dtype=dtype)

    def predict_to_train(
        self, batch: GroundingBatch, true_tube: TrueTube, *, rngs: nnx.Rngs | None = None
    ) -> PointingOutput:
        """Predictions for the losses; arguments as for `GroundingModel.predict_to_train`."""
        pick = functools.partial(take_frame, frame=middle_frame(true_tube.in_tube))

        # Motion is encoded from all frames, appearance from the middle one alone.
        motion = pick(self.encode_motion(batch.frames, batch.frames_valid, batch.sizes, rngs=rngs))
        _, _, h, w, _ = motion.shape
        sizes = self.grid_sizes(batch.sizes)
        video = VideoFeatures(self.encode_appearance(pick(batch.frames), batch.sizes), motion, None, sizes)
        text = self.encode_text(batch.text_ids, batch.text_valid, rngs=rngs)
        encoded = self.encoder(video, text, batch.text_valid, rngs=rngs)
        return PointingOutput(
            appearance_logits=cell_logits(self.appearance_head, encoded.appearance, encoded.grid_valid),
            motion_logits=cell_logits(self.motion_head, encoded.motion, encoded.grid_valid),
            share=box_share(true_tube, (h, w), sizes),
        )


def middle_frame(in_tube: jax.Array) -> jax.Array:
    """Tubes bool [b, t] -> index of the middle frame of each, the first of two, int [b]; 0 without a tube."""
    passed = jnp.cumsum(in_tube, axis=1)
    return jnp.argmax(2 * passed >= passed[:, -1:], axis=1)


def take_frame(frames: jax.Array, frame: jax.Array) -> jax.Array:
    """[b, t, ...], index of a frame of each, int [b] -> [b, 1, ...]."""
    return jnp.take_along_axis(frames, frame.reshape(-1, *(1,) * (frames.ndim - 1)), axis=1)


def box_share(true_tube: TrueTube, grid: tuple[int, int], sizes: jax.Array | None) -> jax.Array:
    """Share of the true box of the middle frame in each cell of the grid, as in PointingOutput."""
    boxes = take_frame(true_tube.finite_boxes, middle_frame(true_tube.in_tube))
    weights = region_weights("cells", boxes, grid, sizes)[:, 0]
    share = weights / jnp.maximum(weights.sum(-1, keepdims=True), 1)
    return jnp.where(true_tube.in_tube.any(-1, keepdims=True), share, 0)


def cell_logits(head: Linear, tokens: jax.Array, grid_valid: jax.Array | None) -> jax.Array:
    """Logits of the cells of one frame, as in PointingOutput, from tokens [b, 1, n, d] and mask bool [b, n] or None."""
    logits = head(tokens)[:, 0, :, 0].astype(jnp.float32)
    return logits if grid_valid is None else jnp.where(grid_valid, logits, jnp.finfo(jnp.float32).min)


def pointing_losses(
    output: PointingOutput, targets: GroundingTargets, counts: TargetCounts | None = None
) -> dict[str, jax.Array]:
    """Every term, unweighted, as float32 scalars: means over videos.

    `appearance_pointing` and `motion_pointing` are the cross-entropy of a softmax over the cells of a frame against the
    share of the true box in each.

    Args:
        output: of `Pointing.predict_to_train`.
        targets: of the same rows.
        counts: of the whole batch; None when these rows are the whole.
    """
    counts = TargetCounts.of(targets) if counts is None else counts
    terms = {"appearance_pointing": output.appearance_logits, "motion_pointing": output.motion_logits}
    return {
        name: sum_over_videos(optax.softmax_cross_entropy(logits, output.share), targets) / counts.videos
        for name, logits in terms.items()
        if logits is not None
    }


FAMILY = grounding_family(
    PointingConfig,
    Pointing,
    PointingLossConfig,
    PointingLearningRates,
    groups=pointing_learning_rate_rules,
    protocol=None,
)
