"""Losses and learning rates of TubeDETR (Yang et al., CVPR 2022, section 3.4; released: `models/tubedetr.py`).

The terms of `stvg_jax.grounding.losses`, without actioness, and

    guided_attention       layered   -log(1 - weight) of the attention over time of frames outside the tube

The released code takes the weights after dropout, where one above 0.9 makes the loss NaN; here they are those before.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from stvg_jax.family import Rules
from stvg_jax.grounding.losses import CommonLossConfig, grounding_losses, sum_over_videos
from stvg_jax.grounding.targets import GroundingTargets, TargetCounts
from stvg_jax.grounding.types import GroundingOutput

# Keeps logarithms and the quotient finite (released: `eps` of `loss_guided_attn`).
_EPSILON = 1e-6


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TubeDETROutput(GroundingOutput):
    """Predictions, with attention weights for the loss.

    Attributes:
        attention: float32 [k, b, t, t], weights of each frame's query over those of all frames, before dropout and
            averaged over heads; None for a model without attention over time.
    """

    attention: jax.Array | None = None

    def row(self, index: int) -> GroundingOutput:
        """As for GroundingOutput, without `attention`."""
        answer = {field.name: getattr(self, field.name) for field in dataclasses.fields(GroundingOutput)}
        return GroundingOutput(**answer).row(index)


@dataclasses.dataclass(frozen=True)
class TubeDETRLossConfig:
    """Weights of the terms, and settings of these terms; the defaults are those of every released model that starts
    from MDETR.

    Attributes:
        box_l1, box_giou, start_end, guided_attention: weight of the term of this name.
        sigma: standard deviation of the Gaussians of `start_end`, in sampled frames.
    """

    box_l1: float = 5.0
    box_giou: float = 2.0
    start_end: float = 10.0
    guided_attention: float = 1.0
    sigma: float = 1.0

    def __post_init__(self):
        if self.sigma <= 0:
            raise ValueError(f"sigma is {self.sigma}; it must be positive")

    def terms(
        self, output: TubeDETROutput, targets: GroundingTargets, counts: TargetCounts | None = None
    ) -> dict[str, jax.Array]:
        """Every term, unweighted, float32 [k]; without `guided_attention` for a model without attention over time.
        Arguments as for `grounding_losses`."""
        counts = TargetCounts.of(targets) if counts is None else counts
        terms = grounding_losses(output, targets, CommonLossConfig(sigma=self.sigma), counts)
        # The model has no such output: it is computed from start and end.
        del terms["actioness"]
        if output.attention is not None:
            guided = guided_attention(output.attention, targets)
            terms["guided_attention"] = sum_over_videos(guided, targets) / counts.videos
        return terms


def guided_attention(attention: jax.Array, targets: GroundingTargets) -> jax.Array:
    """Loss of the attention of frames outside the tube (released: `loss_guided_attn`).

    Args:
        attention: float32 [k, b, t, t], of `TubeDETROutput`.
        targets: of the same rows.

    Returns:
        float32 [k, b], the sum over all frames attended to, mean over frames outside; 0 where there are none.
    """
    outside = ~targets.in_tube
    counted = jnp.ones_like(outside) if targets.frames_valid is None else targets.frames_valid
    outside = outside & counted
    pairs = outside[:, :, None] & counted[:, None]
    loss = jnp.where(pairs, -jnp.log(1 - jnp.where(pairs, attention, 0) + _EPSILON), 0)
    return loss.sum((2, 3)) / (outside.sum(1) + _EPSILON)


@dataclasses.dataclass(frozen=True)
class TubeDETRLearningRates:
    """Peak learning rates of the groups; the defaults are those of every released model that starts from MDETR.

    Attributes:
        base: everything else, including the projection of text tokens.
        image_backbone: ResNet from its second stage on; earlier layers stay as pre-trained.
        text: RoBERTa.
    """

    base: float = 5e-5
    image_backbone: float = 1e-5
    text: float = 5e-5


def tubedetr_learning_rate_rules(config: Any) -> Rules:
    """Rules (regular expression for a parameter's path, group) of a model's configuration; the first match decides.
    Parameters in the group "frozen" are not trained (released: `main.py`, and `requires_grad` in its backbone)."""
    # Statistics, scale and bias of batch norm.
    norms = "scale|bias|mean|var" if config.frozen_backbones else "mean|var"
    frozen = ((r"resnet/stem/.*", "frozen"), (r"resnet/stages/0/.*", "frozen")) if config.frozen_backbones else ()
    return (
        *frozen,
        (rf"resnet/.*/({norms})", "frozen"),
        (r"resnet/.*", "image_backbone"),
        (r"roberta/.*", "text"),
        (r".*", "base"),
    )
