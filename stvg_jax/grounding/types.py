"""Inputs and outputs of grounding models, and the glossary of their axes.

Axes, in this order wherever several meet:

    b  videos of a batch            t  frames of a video (padded to the longest)
    h  w  rows, columns of a frame's pixels or feature grid
    n  tokens of one frame          l  text tokens          d  channels
    k  decoder layers

Masks end in `_valid`, True = real. Boxes carry their format: `cxcywh` is (centre x, centre y, width, height) and
`xyxy` two corners; both in [0, 1] of the frame inside the model. Logits carry `_logits`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from stvg_jax.core.pixels import normalize


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GroundingBatch:
    """Videos with one sentence each. A mask that is None means that nothing is padded, and saves the masking.

    Attributes:
        frames: float [b, t, h, w, 3], normalised pixels; padded at the end of t, h and w with anything finite.
        text_ids: int32 [b, l], token ids of the sentence, for some models after its subject; padded at the end.
        text_valid: bool [b, l] or None.
        frames_valid: bool [b, t] or None. Real frames come first.
        sizes: int32 [b, 2], real height and width in pixels, or None.
    """

    frames: jax.Array
    text_ids: jax.Array
    text_valid: jax.Array | None = None
    frames_valid: jax.Array | None = None
    sizes: jax.Array | None = None

    @classmethod
    def from_batch(cls, batch: Mapping[str, jax.Array]) -> GroundingBatch:
        """The inputs in a batch of `data_pipeline.loading`, whose uint8 frames are normalised here, on the device."""
        inputs = {field.name: batch[field.name] for field in dataclasses.fields(cls)}
        return cls(**inputs | {"frames": normalize(batch["frames"].astype(jnp.float32) / 255)})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrueTube:
    """True tubes of a batch of videos, for models that use them.

    Attributes:
        in_tube: bool [b, t], frames within the tube.
        boxes_cxcywh: float32 [b, t, 4], the target's box in [0, 1]; meaningless outside the tube.
    """

    in_tube: jax.Array
    boxes_cxcywh: jax.Array

    @property
    def finite_boxes(self) -> jax.Array:
        """The boxes, with 0.5 for all values outside the tube, where they may not be finite."""
        return jnp.where(self.in_tube[..., None], self.boxes_cxcywh, 0.5)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class VideoFeatures:
    """Features of a batch of videos, from both visual backbones. They do not depend on the sentences.

    Attributes:
        appearance: [b, t, h, w, d], projected image features.
        motion: [b, t, h, w, d], projected video features.
        frames_valid: bool [b, t] or None.
        sizes: int32 [b, 2], real height and width on this feature grid, or None.
    """

    appearance: jax.Array
    motion: jax.Array
    frames_valid: jax.Array | None
    sizes: jax.Array | None


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GroundingOutput:
    """Predictions. Entries of padded frames are meaningless. Everything but `uses` is float32.

    Attributes:
        boxes_cxcywh: [k, b, t, 4], a box for each frame from each spatial decoder layer, in [0, 1]; the last layer's is
            the answer.
        start_end_logits: [k, b, t, 2], first and last frame of the interval, from each temporal decoder layer.
        actioness_logits: [k, b, t], each frame being within the interval, from each temporal decoder layer.
        motion_sampling_logits, appearance_sampling_logits: [b, t], relevance of each frame to the text; None for a
            model without temporal sampling, or without motion.
        sampling_score: [b, t], mean of their probabilities; None for a model without temporal sampling.
        appearance_attribute_logits: [b, words], words for the target's appearance; None for a model without spatial
            activation.
        motion_attribute_logits: [b, words], verbs for what the target does; None for a model without spatial
            activation, or without motion.
        confidences: [k, b, t], in [0, 2], confidence in each frame's box, from each spatial decoder layer; None for a
            model that does not judge its boxes.
        attention: [k, b, t, t], weights of the attention over time of each frame's query (third axis) to those of all
            frames (fourth axis), before dropout and averaged over heads; None for a model without a loss on them.
        uses: name -> bool [b], True for videos that used the parameters of this name in `GroundingConfig.uses`; empty
            at inference, and for a model that always uses all parameters.
    """

    boxes_cxcywh: jax.Array
    start_end_logits: jax.Array
    actioness_logits: jax.Array
    motion_sampling_logits: jax.Array | None = None
    appearance_sampling_logits: jax.Array | None = None
    sampling_score: jax.Array | None = None
    appearance_attribute_logits: jax.Array | None = None
    motion_attribute_logits: jax.Array | None = None
    confidences: jax.Array | None = None
    attention: jax.Array | None = None
    uses: Mapping[str, jax.Array] = dataclasses.field(default_factory=dict)

    def row(self, index: int) -> GroundingOutput:
        """Predictions for one video as numpy arrays without the batch axis: [k, t, ...], [t] and [words], without
        `attention` and `uses`, which belong to training."""
        arrays = {
            name: np.take(np.asarray(value), index, axis=1 if name in _LAYERED else 0)
            for name, value in vars(self).items()
            if name not in ("attention", "uses") and value is not None
        }
        return dataclasses.replace(self, **arrays, attention=None, uses={})


_LAYERED = ("boxes_cxcywh", "start_end_logits", "actioness_logits", "confidences")
