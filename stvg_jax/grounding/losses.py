"""What a grounding model is trained to make small (TA-STVG section 3.5; references: `models/criterion.py`).

The terms, by the names that `grounding_losses` gives them. Layered terms hold one value per decoder layer, [k], the
answer's last; the paper's auxiliary losses are the layers before it, weighted alike.

    box_l1                 layered   absolute error of centre and size, in [0, 1] of the frame
    box_giou               layered   1 - generalised IoU
    start_end              layered   divergence of the predicted first and last frame from Gaussians at the true ones
    actioness              layered   cross-entropy of "the event goes on in this frame"
    motion_sampling        scalar    the same for the relevance of frames to the text, judged by motion (TTS)
    appearance_sampling    scalar    likewise, judged by appearance
    motion_attributes      scalar    multi-label cross-entropy of action words (ASA)
    appearance_attributes  scalar    likewise, of appearance words
    confidence             layered   cross-entropy of the confidence in a box against its IoU with the truth (CG-STVG)

A batch gives what the released system gives on as many devices with one video each: the mean over videos of each
video's mean over its frames or words; box terms, summed over the frames of all tubes, are divided by the mean number of
boxes per device and by the devices. So every term is a sum over videos divided by a count of the whole batch, and the
terms of a batch's parts, divided by the counts of the whole, add up to those of the whole.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from stvg_jax.core.boxes import cxcywh_to_xyxy, giou, iou
from stvg_jax.grounding.targets import GroundingTargets, TargetCounts
from stvg_jax.grounding.types import GroundingOutput
from stvg_jax.nn.masking import masked_mean

# Keeps logarithms finite (reference: `eps` of `loss_sted`).
_EPSILON = 1e-6


@dataclasses.dataclass(frozen=True)
class CommonLossConfig:
    """Weights of the terms in the total that every model has, and what shapes them.

    Attributes:
        box_l1, box_giou, start_end, actioness: weight of the term of this name.
        outside_weight: weight of a frame outside the tube in `actioness`; inside it is 1 (reference: `EOS_COEF`).
        sigma: standard deviation of the Gaussians of `start_end`, in sampled frames.
    """

    box_l1: float = 5.0
    box_giou: float = 4.0
    start_end: float = 12.0
    actioness: float = 2.0
    outside_weight: float = 0.3
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
class LossConfig(CommonLossConfig):
    """Those of a model with target-aware queries; the defaults are the released HC-STVG v1.

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
    config: CommonLossConfig = LossConfig(),
    counts: TargetCounts | None = None,
) -> dict[str, jax.Array]:
    """Every term apart and unweighted, float32; see the top of this module.

    Args:
        output: of the model's `predict_to_train`.
        targets: of the same batch.
        config: of the model's kind.
        counts: of the whole batch that this one is a part of; None when it is the whole.

    Returns:
        Term -> [k] or scalar. Terms of predictions that the model does not make are left out.
    """
    counts = TargetCounts.of(targets) if counts is None else counts
    sums = {
        **_box_sums(output.boxes_cxcywh, targets),
        "start_end": sum_over_videos(_start_end(output.start_end_logits, targets, config.sigma), targets),
        "actioness": sum_over_videos(_actioness(output.actioness_logits, targets, config.outside_weight), targets),
    }
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
        sums["confidence"] = sum_over_videos(_confidence(output, targets), targets)
    divisors = dict.fromkeys(("box_l1", "box_giou"), jnp.maximum(counts.boxes, counts.videos))
    return {name: value / divisors.get(name, counts.videos) for name, value in sums.items()}


def total_loss(terms: dict[str, jax.Array], weights: Any) -> jax.Array:
    """The weighted sum of all terms and all their layers, a scalar; `weights` has an attribute for each term."""
    return sum(getattr(weights, name) * value.sum() for name, value in terms.items())


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Binary cross-entropy of sigmoid(logits), elementwise; labels are bool or in [0, 1]."""
    return jax.nn.softplus(logits) - logits * labels


def absolute(x: jax.Array) -> jax.Array:
    """|x|, with the gradient 0 at 0 as in PyTorch; that of `jnp.abs` is 1."""
    return x * jnp.sign(x)


def sum_over_videos(per_video: jax.Array, targets: GroundingTargets) -> jax.Array:
    """Sums over the real rows of a batch, [..., b] -> [...]."""
    if targets.rows_valid is not None:
        per_video = jnp.where(targets.rows_valid, per_video, 0)
    return per_video.sum(-1)


def _box_sums(boxes: jax.Array, targets: GroundingTargets) -> dict[str, jax.Array]:
    """boxes [k, b, t, 4] -> L1 and GIoU losses summed over tubes, [k] each."""
    counted = targets.in_tube
    if targets.rows_valid is not None:
        counted = counted & targets.rows_valid[:, None]
    # Elsewhere prediction and target are made equal, so that both losses and their gradients are exactly 0 there.
    whole_frame = jnp.array([0.5, 0.5, 1.0, 1.0])
    predicted = jnp.where(counted[..., None], boxes, whole_frame)
    true = jnp.where(counted[..., None], targets.boxes_cxcywh, whole_frame)
    overlap = giou(cxcywh_to_xyxy(predicted), cxcywh_to_xyxy(true))
    return {"box_l1": absolute(predicted - true).sum((1, 2, 3)), "box_giou": (1 - overlap).sum((1, 2))}


def _start_end(logits: jax.Array, targets: GroundingTargets, sigma: float) -> jax.Array:
    """logits [k, b, t, 2] -> sum over both ends of p log((p + eps) / q), mean over frames, [k, b]."""
    t = targets.in_tube.shape[1]
    ends = jnp.stack([targets.in_tube.argmax(1), t - 1 - targets.in_tube[:, ::-1].argmax(1)], axis=-1)
    valid = None if targets.frames_valid is None else targets.frames_valid[..., None]
    distance = jnp.arange(t)[None, :, None] - ends[:, None]
    gaussian = jnp.exp(-(distance**2) / (2 * sigma**2)) + _EPSILON
    if valid is not None:
        gaussian = jnp.where(valid, gaussian, _EPSILON)
        logits = jnp.where(valid, logits, jnp.finfo(jnp.float32).min)
    normaliser = gaussian.sum(1, keepdims=True, where=valid)
    # A row of nothing but padding has no normaliser.
    expected = gaussian / jnp.where(normaliser > 0, normaliser, 1)
    probability = jax.nn.softmax(logits, axis=2)
    divergence = probability * jnp.log((probability + _EPSILON) / expected)
    return masked_mean(divergence.sum(-1), targets.frames_valid, axis=-1)


def _actioness(logits: jax.Array, targets: GroundingTargets, outside_weight: float) -> jax.Array:
    """logits [k, b, t] -> weighted cross-entropy, mean over frames, [k, b]."""
    weight = jnp.where(targets.in_tube, 1.0, outside_weight)
    return masked_mean(weight * cross_entropy(logits, targets.in_tube), targets.frames_valid, axis=-1)


def _confidence(output: GroundingOutput, targets: GroundingTargets) -> jax.Array:
    """[k, b], mean over the frames of each tube.

    As released, the confidence, a sum of two probabilities, is taken for a logit, and the IoU that it should tell has a
    gradient too, by which boxes grow better where the confidence is high.
    """
    whole_frame = jnp.array([0.5, 0.5, 1.0, 1.0])
    inside = targets.in_tube[..., None]
    predicted, true = (jnp.where(inside, b, whole_frame) for b in (output.boxes_cxcywh, targets.boxes_cxcywh))
    overlap = iou(cxcywh_to_xyxy(predicted), cxcywh_to_xyxy(true))
    return masked_mean(cross_entropy(output.confidences, overlap), targets.in_tube, axis=-1)
