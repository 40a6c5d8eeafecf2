"""Pointing in single pictures: pre-training for the models without a motion backbone, TubeDETR and STCAT.

As `stvg_jax.grounding.pretraining.pointing`, with appearance alone. Only one frame of each video is read, so train it
with `config.loader.window=1`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
from flax import nnx

from stvg_jax.grounding.base import AppearanceConfig, AppearanceEncoder, TextReader
from stvg_jax.grounding.family import grounding_family
from stvg_jax.grounding.pretraining.pointing import (
    PointingLearningRates,
    PointingOutput,
    box_share,
    cell_logits,
    middle_frame,
    pointing_learning_rate_rules,
    pointing_losses,
    take_frame,
)
from stvg_jax.grounding.targets import GroundingTargets, TargetCounts
from stvg_jax.grounding.tubedetr_parts import SlowEncoder
from stvg_jax.grounding.types import GroundingBatch, TrueTube
from stvg_jax.nn.declare import Linear


@dataclasses.dataclass(frozen=True)
class ImagePointingConfig(AppearanceConfig):
    """Hyper-parameters of the parts before the decoders.

    Attributes:
        subject: whether the model reads the subject before the sentence; the released models do not.
    """

    subject: bool = False

    @property
    def reads_subject(self) -> bool:
        return self.subject


@dataclasses.dataclass(frozen=True)
class ImagePointingLossConfig:
    """Weight of the term of `pointing_losses`."""

    appearance_pointing: float = 1.0

    def terms(
        self, output: PointingOutput, targets: GroundingTargets, counts: TargetCounts | None = None
    ) -> dict[str, jax.Array]:
        """See `pointing_losses`."""
        return pointing_losses(output, targets, counts)


class ImagePointing(AppearanceEncoder, TextReader):
    """Image backbone, text encoder and the encoder's layers within frames, under the same names, with a head.

    Args:
        config: hyper-parameters.
        dtype: of the computation; parameters are float32 always.
    """

    def __init__(self, config: ImagePointingConfig, *, dtype: Any):
        super().__init__(config, dtype=dtype)
        self._add_text_encoder(config, dtype)
        self.encoder = SlowEncoder(config.transformer, dtype=dtype)
        self.appearance_head = Linear(config.transformer.width, 1, dtype=dtype)

    def predict_to_train(
        self, batch: GroundingBatch, true_tube: TrueTube, *, rngs: nnx.Rngs | None = None
    ) -> PointingOutput:
        """Predictions for the losses; arguments as for `GroundingModel.predict_to_train`."""
        frames = take_frame(batch.frames, middle_frame(true_tube.in_tube))
        features, sizes = self.encode_appearance(frames, batch.sizes), self.grid_sizes(batch.sizes)
        text = self.encode_text(batch.text_ids, batch.text_valid, rngs=rngs)
        joined = self.encoder.join(features, text, sizes, batch.text_valid)
        encoded = self.encoder(joined, rngs=rngs)
        _, _, h, w, _ = features.shape
        return PointingOutput(
            appearance_logits=cell_logits(self.appearance_head, encoded[:, :, : h * w], joined.grid_valid),
            motion_logits=None,
            share=box_share(true_tube, (h, w), sizes),
        )


FAMILY = grounding_family(
    ImagePointingConfig,
    ImagePointing,
    ImagePointingLossConfig,
    PointingLearningRates,
    groups=pointing_learning_rate_rules,
    protocol=None,
)
