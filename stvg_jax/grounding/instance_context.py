"""Instance context: what the predicted boxes hold, and which frames of it can be trusted (CG-STVG section 3.3).

Generation pools the appearance and the motion map inside each frame's box; refinement keeps the frames in which the
event goes on and whose box is good. Shapes are fixed: pooling is a weighted mean over the grid (`grounding.regions`),
selection is a mask.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.core.boxes import cxcywh_to_xyxy, giou
from stvg_jax.grounding.decoder import Context
from stvg_jax.grounding.encoder import TransformerConfig
from stvg_jax.grounding.regions import POOLINGS
from stvg_jax.grounding.types import TrueTube
from stvg_jax.nn.layers import MLP

REFINEMENTS = ("none", "temporal", "spatial", "both", "sum", "product")


@dataclasses.dataclass(frozen=True)
class ContextConfig:
    """How instance context is made and used; the defaults are the released HC-STVG v1 model.

    Attributes:
        generate: False for the paper's baseline, without any context.
        refine: which frames give context. "none": all; "temporal": those whose actioness logit exceeds
            `temporal_threshold`; "spatial": those whose confidence exceeds `spatial_threshold`; "both": those that pass
            both, the paper's two levels; "sum" and "product": one level, those in which the mean or the product of the
            actioness and half the confidence, both from 0 to 1, exceeds `joint_threshold`.
        temporal_threshold: theta_t, of a logit; -0.5 for VidSTG.
        spatial_threshold: theta_s, of the sum of the appearance and the motion confidence, from 0 to 2; 0.5 for VidSTG.
        joint_threshold: see `refine`.
        truth_threshold: in training, frames of the tube whose box has a higher GIoU with the truth are taken instead,
            by every refinement that judges boxes; 0.7 for HC-STVG v2, 0.5 for VidSTG.
        pooling: "cells", the mean over the cells that a rounded box covers, at least one, as released; "roi_align",
            the mean of bilinear samples inside the exact box, as the paper has it.
        guide_temporal: whether context guides the temporal decoder too. Both decoders then advance together, and
            frames are judged by the actioness of the layer that their boxes are of, not by that of the last.
    """

    generate: bool = True
    refine: str = "both"
    temporal_threshold: float = 0.5
    spatial_threshold: float = 0.8
    joint_threshold: float = 0.5
    truth_threshold: float = 0.8
    pooling: str = "cells"
    guide_temporal: bool = False

    def __post_init__(self):
        for name, known in (("refine", REFINEMENTS), ("pooling", POOLINGS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(known)}")
        if self.guide_temporal and not self.generate:
            raise ValueError("guide_temporal needs a context; set generate=True")

    @property
    def judges_boxes(self) -> bool:
        """Whether the model has confidences."""
        return self.generate and self.refine not in ("none", "temporal")


class InstanceContext(nnx.Module):
    """Makes the context of the next decoding stage from the boxes of this one.

    Args:
        config: see ContextConfig.
        transformer: of the decoders.
        dtype: of the computation.
    """

    def __init__(self, config: ContextConfig, transformer: TransformerConfig, *, dtype):
        width, rate = transformer.width, transformer.head_dropout_rate
        self.config = config
        self.appearance_mlp = MLP((width, width, width), dtype=dtype)
        self.motion_mlp = MLP((width, width, width), dtype=dtype)
        if config.judges_boxes:
            self.appearance_confidence = MLP((width, width, 1), dropout_rate=rate, dtype=dtype)
            self.motion_confidence = MLP((width, width, 1), dropout_rate=rate, dtype=dtype)

    def confidence(self, appearance: jax.Array, motion: jax.Array, *, rngs: nnx.Rngs | None) -> jax.Array:
        """Pooled features [b, t, d] of both streams -> the sum of both probabilities, float32 [b, t]."""

        def probability(head: MLP, pooled: jax.Array) -> jax.Array:
            return jax.nn.sigmoid(head(pooled, rngs=rngs)[..., 0].astype(jnp.float32))

        return probability(self.appearance_confidence, appearance) + probability(self.motion_confidence, motion)

    def __call__(self, appearance: jax.Array, motion: jax.Array, chosen: jax.Array) -> Context:
        """Pooled features [b, t, d] of both streams and chosen frames, bool [b, t] -> 2 t tokens."""
        tokens = jnp.concatenate([self.appearance_mlp(appearance), self.motion_mlp(motion)], axis=1)
        return Context(tokens, jnp.concatenate([chosen, chosen], axis=1))


def choose_context_frames(
    config: ContextConfig,
    actioness_logits: jax.Array,
    confidence: jax.Array | None,
    frames_valid: jax.Array | None,
) -> jax.Array:
    """Frames that give context at inference.

    Args:
        config: see ContextConfig.
        actioness_logits: float32 [b, t].
        confidence: float32 [b, t] in [0, 2]; None for a model that does not judge its boxes.
        frames_valid: bool [b, t] or None.

    Returns:
        bool [b, t]; possibly none of a video.
    """
    in_event = actioness_logits > config.temporal_threshold
    if config.refine == "none":
        chosen = jnp.ones(actioness_logits.shape, bool)
    elif config.refine == "temporal":
        chosen = in_event
    elif config.refine in ("spatial", "both"):
        chosen = confidence > config.spatial_threshold
        chosen = chosen & in_event if config.refine == "both" else chosen
    else:
        temporal, spatial = jax.nn.sigmoid(actioness_logits), confidence / 2
        joint = temporal * spatial if config.refine == "product" else (temporal + spatial) / 2
        chosen = joint > config.joint_threshold
    return chosen if frames_valid is None else chosen & frames_valid


def choose_true_frames(
    config: ContextConfig, boxes_cxcywh: jax.Array, truth: TrueTube, frames_valid: jax.Array | None
) -> jax.Array:
    """Frames that give context in training: boxes [b, t, 4] and the truth -> bool [b, t].

    Reference: `get_context_index_by_gt`.
    """
    if config.refine == "none":
        return jnp.ones(truth.in_tube.shape, bool) if frames_valid is None else frames_valid
    if config.refine == "temporal":
        return truth.in_tube
    overlap = giou(cxcywh_to_xyxy(boxes_cxcywh), cxcywh_to_xyxy(truth.boxes_cxcywh))
    return truth.in_tube & (overlap > config.truth_threshold)
