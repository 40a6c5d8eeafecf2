"""Targets of a grounding batch, as arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from stvg_jax.grounding.types import TrueTube


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GroundingTargets:
    """Annotations of a batch of videos; axes as in `grounding.types`. None for a mask means that nothing is padded.

    Attributes:
        in_tube: bool [b, t], frames within the true tube: one run of at least one frame.
        boxes_cxcywh: float32 [b, t, 4], the target's box in [0, 1]; ignored outside the tube.
        appearance_labels: float32 [b, words], 1 for each appearance word of the sentence.
        motion_labels: float32 [b, words], 1 for each verb of the sentence.
        frames_valid: bool [b, t] or None.
        rows_valid: bool [b] or None; False for rows that only fill up the batch and do not count.
    """

    in_tube: jax.Array
    boxes_cxcywh: jax.Array
    appearance_labels: jax.Array
    motion_labels: jax.Array
    frames_valid: jax.Array | None = None
    rows_valid: jax.Array | None = None

    @classmethod
    def from_batch(cls, batch: Mapping[str, jax.Array]) -> GroundingTargets:
        """The targets in a training batch of `data_pipeline.loading`, where `sample` is negative in filling rows."""
        names = [field.name for field in dataclasses.fields(cls) if field.name != "rows_valid"]
        return cls(**{name: batch[name] for name in names}, rows_valid=batch["sample"] >= 0)

    @property
    def true_tube(self) -> TrueTube:
        """The part that models may use in training."""
        return TrueTube(self.in_tube, self.boxes_cxcywh)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TargetCounts:
    """Divisors of the losses of a whole batch, whatever the number of parts that it is computed in.

    Attributes:
        videos: float32 scalar, real rows.
        boxes: float32 scalar, frames in the tubes of all real rows.
    """

    videos: jax.Array
    boxes: jax.Array

    @classmethod
    def of(cls, targets: GroundingTargets) -> TargetCounts:
        """Counts a batch. The losses of a batch without a real row are 0."""
        real = _rows_valid(targets)
        videos = jnp.maximum(real.sum(dtype=jnp.float32), 1)
        return cls(videos=videos, boxes=(targets.in_tube & real[:, None]).sum(dtype=jnp.float32))


def _rows_valid(targets: GroundingTargets) -> jax.Array:
    return jnp.ones(len(targets.in_tube), bool) if targets.rows_valid is None else targets.rows_valid
