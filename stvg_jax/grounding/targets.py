"""What a grounding model should have predicted, as arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from stvg_jax.grounding.types import TrueTube


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GroundingTargets:
    """The truth about a batch of videos; axes as in `grounding.types`. A mask that is None says that nothing
    is padded.

    Attributes:
        in_tube: bool [b, t], frames in which the described event goes on: one run of frames, at least one.
        boxes_cxcywh: float32 [b, t, 4], the target's box in [0, 1]; ignored outside the tube.
        appearance_labels: float32 [b, words], 1 for each appearance word of the sentence.
        motion_labels: float32 [b, words], 1 for each action word.
        frames_valid: bool [b, t] or None.
        rows_valid: bool [b] or None; a row that is False fills up the batch and counts nowhere.
    """

    in_tube: jax.Array
    boxes_cxcywh: jax.Array
    appearance_labels: jax.Array
    motion_labels: jax.Array
    frames_valid: jax.Array | None = None
    rows_valid: jax.Array | None = None

    @classmethod
    def from_batch(cls, batch: Mapping[str, jax.Array]) -> GroundingTargets:
        """The targets in a training batch of `data_pipeline.loading`, whose filling rows have a negative `sample`."""
        names = [field.name for field in dataclasses.fields(cls) if field.name != "rows_valid"]
        return cls(**{name: batch[name] for name in names}, rows_valid=batch["sample"] >= 0)

    @property
    def tube(self) -> TrueTube:
        """What a model may see of it while it is trained."""
        return TrueTube(self.in_tube, self.boxes_cxcywh)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TargetCounts:
    """What the losses of a whole batch are divided by, however many parts it is computed in.

    Attributes:
        videos: float32 scalar, real rows.
        boxes: float32 scalar, frames in the tubes of all real rows.
    """

    videos: jax.Array
    boxes: jax.Array

    @classmethod
    def of(cls, targets: GroundingTargets) -> TargetCounts:
        """Counts a batch. Of an empty one, with no real row, the losses are 0."""
        real = _rows_valid(targets)
        videos = jnp.maximum(real.sum(dtype=jnp.float32), 1)
        return cls(videos=videos, boxes=(targets.in_tube & real[:, None]).sum(dtype=jnp.float32))


def _rows_valid(targets: GroundingTargets) -> jax.Array:
    return jnp.ones(len(targets.in_tube), bool) if targets.rows_valid is None else targets.rows_valid
