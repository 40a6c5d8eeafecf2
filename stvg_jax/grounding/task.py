"""Training of grounding models: batches, loss, groups of learning rates."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from stvg_jax.family import Rules
from stvg_jax.grounding.base import AppearanceConfig, GroundingConfig
from stvg_jax.grounding.losses import LossConfig, sum_over_videos, total_loss
from stvg_jax.grounding.targets import GroundingTargets, TargetCounts
from stvg_jax.grounding.types import GroundingBatch
from stvg_jax.nn.declare import PureModule
from stvg_jax.nn.keys import DropoutKeys


@dataclasses.dataclass(frozen=True)
class CommonLearningRates:
    """Peak learning rates of the groups that every model has (`learning_rate_rules`).

    Attributes:
        base: encoder, spatial decoder, projections of the visual features, prediction heads.
        image_backbone: ResNet from its second stage on; earlier layers stay as pre-trained.
        text: RoBERTa and the projection of its tokens.
        temporal_decoder: the temporal decoder.
    """

    base: float = 2e-4
    image_backbone: float = 1e-6
    text: float = 5e-5
    temporal_decoder: float = 2e-4


@dataclasses.dataclass(frozen=True)
class LearningRates(CommonLearningRates):
    """Learning rates of a model with target-aware queries; the defaults are the released HC-STVG v1.

    Attributes:
        target_queries: the classifiers of temporal sampling and spatial activation.
    """

    target_queries: float = 5e-4


def learning_rate_rules(config: AppearanceConfig) -> Rules:
    """Rules (regular expression for a parameter's path, group); the first match decides. Parameters in the group
    "frozen" are not trained (released: `engine/optimizer.py`, and `requires_grad` in its backbones)."""
    return (
        *encoder_rules(config),
        (r"temporal_decoder/.*", "temporal_decoder"),
        *config.own_groups,
        (r".*", "base"),
    )


def encoder_rules(config: AppearanceConfig) -> Rules:
    """Rules for the backbones and the text encoder."""
    return (*backbone_rules(config), (r"(roberta|text_projection)/.*", "text"))


def backbone_rules(config: AppearanceConfig) -> Rules:
    """Rules for the visual backbones."""
    frozen = (
        (r"resnet/stem/.*", "frozen"),
        (r"resnet/stages/0/.*", "frozen"),
        # Statistics, scale and bias of batch norm.
        (r"resnet/.*/(scale|bias|mean|var)", "frozen"),
    )
    from_scratch = ((r"resnet/.*/(mean|var)", "frozen"),)
    motion = ((r"swin/.*", "frozen" if config.frozen_backbones else "base"),)
    return (
        *(motion if isinstance(config, GroundingConfig) else ()),
        *(frozen if config.frozen_backbones else from_scratch),
        (r"resnet/.*", "image_backbone"),
    )


class Losses(Protocol):
    """Section `loss` of a configuration: a field with the weight of each term, and the terms themselves."""

    def terms(self, output: Any, targets: GroundingTargets, counts: TargetCounts | None = None) -> dict[str, jax.Array]:
        """Every term, unweighted.

        Args:
            output: of the model's `predict_to_train`.
            targets: of the same rows.
            counts: of the whole batch; None when these rows are the whole.
        """
        ...


@dataclasses.dataclass(frozen=True)
class GroundingTask:
    """Training of a grounding model, or of a model that others start from.

    Attributes:
        module: the model.
        losses: of its family.
    """

    module: PureModule
    losses: Losses = LossConfig()

    def count(self, batch: Mapping[str, jax.Array]) -> TargetCounts:
        """Divisors of the losses of a whole training batch of `data_pipeline.loading`."""
        return TargetCounts.of(GroundingTargets.from_batch(batch))

    def prepare(self, batch: Mapping[str, jax.Array]) -> tuple[GroundingBatch, GroundingTargets]:
        """Inputs and targets of a training batch of `data_pipeline.loading`."""
        return GroundingBatch.from_batch(batch), GroundingTargets.from_batch(batch)

    def loss(
        self,
        parameters: dict,
        inputs: GroundingBatch,
        targets: GroundingTargets,
        counts: TargetCounts | None = None,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[dict[str, jax.Array], dict[str, jax.Array]]]:
        """The total loss.

        Args:
            parameters: nested, as for `PureModule.apply`.
            inputs, targets: rows of a batch.
            counts: of the whole batch; None when these rows are the whole.
            key: for dropout, one key for all rows or one for each [b]; None to train without.

        Returns:
            The total; and (unweighted terms by name, uses). Uses are int32 scalars by name: the number of real rows
            that used the parameters of this name in `GroundingConfig.uses`. With the same `counts`, the sums of all of
            these over the parts of a batch are those of the whole batch.
        """
        rngs = None if key is None else DropoutKeys(key)
        output = self.module.apply(
            parameters, lambda model: model.predict_to_train(inputs, targets.true_tube, rngs=rngs)
        )
        terms = self.losses.terms(output, targets, counts)
        uses = {use: sum_over_videos(rows.astype(jnp.int32), targets) for use, rows in _uses(output).items()}
        return total_loss(terms, self.losses), (terms, uses)


def _uses(output: Any) -> Mapping[str, jax.Array]:
    """Uses in a model's output, bool [b] by name; none if the output has no such field."""
    return getattr(output, "uses", {})
