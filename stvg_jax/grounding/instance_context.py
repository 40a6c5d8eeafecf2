"""Instance context: features inside the predicted boxes of trusted frames (CG-STVG section 3.3).

Generation pools the appearance and the motion map inside each frame's box. Refinement keeps the frames that are within
the interval and whose box is good. Shapes are fixed: pooling is a weighted mean over the grid (`grounding.regions`),
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
    """Instance context and its use; the defaults are the released HC-STVG v1 model.

    Attributes:
        generate: whether there is a context; False for the baseline of the paper.
        refine: rule that chooses the frames of the context. "none": all frames; "temporal": actioness logit above
            `temporal_threshold`; "spatial": confidence above `spatial_threshold`; "both": both of these, the two levels
            of the paper; "sum" or "product": one level, the mean or the product of the actioness and half the
            confidence, both from 0 to 1, above `joint_threshold`.
        temporal_threshold: theta_t, a logit; -0.5 for VidSTG.
        spatial_threshold: theta_s, of the sum of appearance and motion confidence, from 0 to 2; 0.5 for VidSTG.
        joint_threshold: for "sum" and "product", from 0 to 1.
        truth_threshold: GIoU with the true box. In training, every refinement that judges boxes chooses the frames of
            the true tube whose box exceeds it; 0.7 for HC-STVG v2, 0.5 for VidSTG.
        pooling: "cells", the mean over the cells that a rounded box covers, at least one, as released; "roi_align",
            the mean of bilinear samples inside the exact box, as in the paper.
        guide_temporal: whether context guides the temporal decoder too. The layers of both decoders then alternate,
            and each stage judges frames by the actioness of its own layer instead of the last one.
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
        """True if the model predicts confidences."""
        return self.generate and self.refine not in ("none", "temporal")


class InstanceContext(nnx.Module):
    """Context of the next decoding stage, from the boxes of this one.

    Args:
        config: settings of the context.
        transformer: settings of the decoders.
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
        """Pooled features [b, t, d] of both streams -> sum of both probabilities, float32 [b, t] in [0, 2]."""

        def probability(head: MLP, pooled: jax.Array) -> jax.Array:
            return jax.nn.sigmoid(head(pooled, rngs=rngs)[..., 0].astype(jnp.float32))

        return probability(self.appearance_confidence, appearance) + probability(self.motion_confidence, motion)

    def __call__(self, appearance: jax.Array, motion: jax.Array, chosen: jax.Array) -> Context:
        """Pooled features [b, t, d] of both streams, chosen frames bool [b, t] -> 2 t tokens."""
        tokens = jnp.concatenate([self.appearance_mlp(appearance), self.motion_mlp(motion)], axis=1)
        return Context(tokens, jnp.concatenate([chosen, chosen], axis=1))


def choose_context_frames(
    config: ContextConfig,
    actioness_logits: jax.Array,
    confidence: jax.Array | None,
    frames_valid: jax.Array | None,
) -> jax.Array:
    """Frames of the context at inference.

    Args:
        config: settings of the context.
        actioness_logits: float32 [b, t].
        confidence: float32 [b, t] in [0, 2]; None for a model that does not judge its boxes.
        frames_valid: bool [b, t] or None.

    Returns:
        bool [b, t]; a video may have none.

    Raises:
        ValueError: `config.refine` needs a confidence and there is none.
    """
    in_event = actioness_logits > config.temporal_threshold
    if config.refine == "none":
        chosen = jnp.ones(actioness_logits.shape, bool)
    elif config.refine == "temporal":
        chosen = in_event
    elif confidence is None:
        raise ValueError(f"refine={config.refine!r} needs the confidence of the boxes")
    elif config.refine in ("spatial", "both"):
        chosen = confidence > config.spatial_threshold
        chosen = chosen & in_event if config.refine == "both" else chosen
    else:
        temporal, spatial = jax.nn.sigmoid(actioness_logits), confidence / 2
        joint = temporal * spatial if config.refine == "product" else (temporal + spatial) / 2
        chosen = joint > config.joint_threshold
    return chosen if frames_valid is None else chosen & frames_valid


def choose_true_frames(
    config: ContextConfig, boxes_cxcywh: jax.Array, true_tube: TrueTube, frames_valid: jax.Array | None
) -> jax.Array:
    """Frames of the context in training: boxes [b, t, 4], true tubes -> bool [b, t].

    Released: `get_context_index_by_gt`.
    """
    if config.refine == "none":
        return jnp.ones(true_tube.in_tube.shape, bool) if frames_valid is None else frames_valid
    if config.refine == "temporal":
        return true_tube.in_tube
    overlap = giou(cxcywh_to_xyxy(boxes_cxcywh), cxcywh_to_xyxy(true_tube.boxes_cxcywh))
    return true_tube.in_tube & (overlap > config.truth_threshold)
