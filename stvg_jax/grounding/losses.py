"""Losses of grounding models (TA-STVG section 3.5; released: `models/criterion.py`).

Terms by name. Layered terms hold one value for each decoder layer, [k], with the answer last; the other layers are the
auxiliary losses of the paper, which have the same weight.

    box_l1                 layered   absolute error of centre and size, in [0, 1] of the frame
    box_giou               layered   1 - generalised IoU
    start_end              layered   divergence of the predicted first and last frame from Gaussians at the true ones
    actioness              layered   cross-entropy of each frame being within the interval
    motion_sampling        scalar    cross-entropy of the relevance of frames to the text, judged by motion (TTS)
    appearance_sampling    scalar    the same, judged by appearance
    motion_attributes      scalar    multi-label cross-entropy of verbs (ASA)
    appearance_attributes  scalar    multi-label cross-entropy of appearance words (ASA)
    confidence             layered   cross-entropy of the confidence in a box against its IoU with the truth (CG-STVG)
    guided_attention       layered   -log(1 - weight) of the attention over time of frames outside the tube (TubeDETR,
                                     STCAT). The released code takes the weights after dropout, where one above 0.9
                                     gives NaN; here they are those before

A batch has the loss that the released code has on as many devices with one video each. Most terms are the mean over
videos of each video's mean over frames or words. Box terms are summed over the frames of all tubes and divided by their
number. So every term is a sum over videos divided by a count of the whole batch: computed in parts, with the counts of
the whole, the terms add up to those of the whole.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from typing import Any

import jax
import jax.numpy as jnp

from stvg_jax.core.boxes import cxcywh_to_xyxy, giou, iou
from stvg_jax.grounding.targets import GroundingTargets, TargetCounts
from stvg_jax.grounding.types import GroundingOutput
from stvg_jax.nn.masking import masked_mean

# Keeps logarithms and quotients finite (released: `eps` of `loss_sted` and `loss_guided_attn`).
_EPSILON = 1e-6
_BOX_TERMS = ("box_l1", "box_giou")


@dataclasses.dataclass(frozen=True)
class TubeLossConfig:
    """Weights of the terms that every model has, and settings of these terms.

    Attributes:
        box_l1, box_giou, start_end: weight of the term of this name.
        sigma: standard deviation of the Gaussians of `start_end`, in sampled frames.
    """

    box_l1: float = 5.0
    box_giou: float = 4.0
    start_end: float = 12.0
    sigma: float = 2.0

    def __post_init__(self):
        if self.sigma <= 0:
            raise ValueError(f"sigma is {self.sigma}; it must be positive")

    def terms(
        self, output: GroundingOutput, targets: GroundingTargets, counts: TargetCounts | None = None
    ) -> dict[str, jax.Array]:
        """`grounding_losses` of this configuration."""
        return grounding_losses(output, targets, self, counts)


@dataclasses.dataclass(frozen=True)
class CommonLossConfig(TubeLossConfig):
    """Weights and settings of a model with an output for actioness.

    Attributes:
        actioness: weight of the term of this name.
        outside_weight: weight of a frame outside the tube in `actioness`; inside it is 1 (released: `EOS_COEF`).
    """

    actioness: float = 2.0
    outside_weight: float = 0.3


@dataclasses.dataclass(frozen=True)
class LossConfig(CommonLossConfig):
    """Weights of the terms of a model with target-aware queries; the defaults are the released HC-STVG v1.

    Attributes:
        motion_sampling, appearance_sampling, motion_attributes, appearance_attributes: weight of the term of this name.
    """

    motion_sampling: float = 1.0
    appearance_sampling: float = 1.0
    motion_attributes: float = 1.0
    appearance_attributes: float = 1.0


def grounding_losses(
    output: GroundingOutput,
    targets: GroundingTargets,
    config: TubeLossConfig = LossConfig(),
    counts: TargetCounts | None = None,
) -> dict[str, jax.Array]:
    """Every term, unweighted; the text of this module explains them.

    Args:
        output: of the model's `predict_to_train`.
        targets: of the same rows.
        config: settings of the terms.
        counts: of the whole batch; None when these rows are the whole.

    Returns:
        Term -> float32 [k] or scalar, without terms of predictions that the model does not make, and without actioness
        for a configuration that does not weigh it.
    """
    counts = TargetCounts.of(targets) if counts is None else counts
    sums = {
        **_box_sums(output.boxes_cxcywh, targets),
        "start_end": sum_over_videos(_start_end(output.start_end_logits, targets, config.sigma), targets),
    }
    if isinstance(config, CommonLossConfig):
        actioness = _actioness(output.actioness_logits, targets, config.outside_weight)
        sums["actioness"] = sum_over_videos(actioness, targets)
    if output.attention is not None:
        sums["guided_attention"] = sum_over_videos(guided_attention(output.attention, targets), targets)
    for name, logits in {
        "motion_sampling": output.motion_sampling_logits,
        "appearance_sampling": output.appearance_sampling_logits,
    }.items():
        if logits is not None:
            frames = cross_entropy(logits, targets.in_tube)
            sums[name] = sum_over_videos(masked_mean(frames, targets.frames_valid, axis=-1), targets)
    for name, logits, labels in (
        ("motion_attributes", output.motion_attribute_logits, targets.motion_labels),
        ("appearance_attributes", output.appearance_attribute_logits, targets.appearance_labels),
    ):
        if logits is not None:
            sums[name] = sum_over_videos(cross_entropy(logits, labels).mean(-1), targets)
    if output.confidences is not None:
        confidence = _confidence(output.confidences, output.boxes_cxcywh, targets)
        sums["confidence"] = sum_over_videos(confidence, targets)
    boxes = jnp.maximum(counts.boxes, counts.videos)
    return {name: value / (boxes if name in _BOX_TERMS else counts.videos) for name, value in sums.items()}


def total_loss(terms: dict[str, jax.Array], weights: Any) -> jax.Array:
    """The weighted sum of all terms over all their layers, a scalar; `weights` has an attribute for each term."""
    return functools.reduce(operator.add, (getattr(weights, name) * value.sum() for name, value in terms.items()))


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Binary cross-entropy of sigmoid(logits) for each element; labels are bool or in [0, 1]."""
    return jax.nn.softplus(logits) - logits * labels


def absolute(x: jax.Array) -> jax.Array:
    """|x| with gradient 0 at 0, as in PyTorch; the gradient of `jnp.abs` is 1 there."""
    return x * jnp.sign(x)


def sum_over_videos(per_video: jax.Array, targets: GroundingTargets) -> jax.Array:
    """Sums over the real rows of a batch, [..., b] -> [...]."""
    if targets.rows_valid is not None:
        per_video = jnp.where(targets.rows_valid, per_video, 0)
    return per_video.sum(-1)


def _box_sums(boxes: jax.Array, targets: GroundingTargets) -> dict[str, jax.Array]:
    """Boxes [k, b, t, 4] -> L1 and GIoU losses summed over all tubes, [k] each."""
    counted = targets.in_tube
    if targets.rows_valid is not None:
        counted = counted & targets.rows_valid[:, None]
    # Outside the tubes prediction and target are set equal, so that both losses and their gradients are exactly 0.
    whole_frame = jnp.array([0.5, 0.5, 1.0, 1.0])
    predicted = jnp.where(counted[..., None], boxes, whole_frame)
    true = jnp.where(counted[..., None], targets.boxes_cxcywh, whole_frame)
    overlap = giou(cxcywh_to_xyxy(predicted), cxcywh_to_xyxy(true))
    return {"box_l1": absolute(predicted - true).sum((1, 2, 3)), "box_giou": (1 - overlap).sum((1, 2))}


def _start_end(logits: jax.Array, targets: GroundingTargets, sigma: float) -> jax.Array:
    """Logits [k, b, t, 2] -> sum over both ends of p log((p + eps) / q), mean over frames, [k, b]."""
    t = targets.in_tube.shape[1]
    ends = jnp.stack([targets.in_tube.argmax(1), t - 1 - targets.in_tube[:, ::-1].argmax(1)], axis=-1)
    valid = None if targets.frames_valid is None else targets.frames_valid[..., None]
    distance = jnp.arange(t)[None, :, None] - ends[:, None]
    gaussian = jnp.exp(-(distance**2) / (2 * sigma**2)) + _EPSILON
    if valid is not None:
        gaussian = jnp.where(valid, gaussian, _EPSILON)
        logits = jnp.where(valid, logits, jnp.finfo(jnp.float32).min)
    normaliser = gaussian.sum(1, keepdims=True, where=valid)
    # The sum over a row that is all padding is 0.
    expected = gaussian / jnp.where(normaliser > 0, normaliser, 1)
    probability = jax.nn.softmax(logits, axis=2)
    divergence = probability * jnp.log((probability + _EPSILON) / expected)
    return masked_mean(divergence.sum(-1), targets.frames_valid, axis=-1)


def _actioness(logits: jax.Array, targets: GroundingTargets, outside_weight: float) -> jax.Array:
    """Logits [k, b, t] -> weighted cross-entropy, mean over frames, [k, b]."""
    weight = jnp.where(targets.in_tube, 1.0, outside_weight)
    return masked_mean(weight * cross_entropy(logits, targets.in_tube), targets.frames_valid, axis=-1)


def _confidence(confidences: jax.Array, boxes: jax.Array, targets: GroundingTargets) -> jax.Array:
    """Confidences [k, b, t], boxes [k, b, t, 4] -> cross-entropy, mean over the frames of each tube, [k, b].

    As released, the confidence, a sum of two probabilities, is used as a logit, and its target, the IoU, has a gradient
    too, which improves boxes where the confidence is high.
    """
    whole_frame = jnp.array([0.5, 0.5, 1.0, 1.0])
    inside = targets.in_tube[..., None]
    predicted, true = (jnp.where(inside, b, whole_frame) for b in (boxes, targets.boxes_cxcywh))
    overlap = iou(cxcywh_to_xyxy(predicted), cxcywh_to_xyxy(true))
    return masked_mean(cross_entropy(confidences, overlap), targets.in_tube, axis=-1)


def guided_attention(attention: jax.Array, targets: GroundingTargets) -> jax.Array:
    """Loss of the attention of frames outside the tube (released: `loss_guided_attn`).

    Args:
        attention: float32 [k, b, t, t], of `GroundingOutput`.
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
