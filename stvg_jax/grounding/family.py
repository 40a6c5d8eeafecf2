"""Parts of the record of a family (`stvg_jax.family.Family`) that all grounding models share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
from flax import nnx

from stvg_jax.family import Evaluator, Family, Inputs, Rules, TextSize
from stvg_jax.grounding.base import AppearanceConfig
from stvg_jax.grounding.evaluation.metrics import OwnMeasures
from stvg_jax.grounding.inference.clip import ClipConfig
from stvg_jax.grounding.protocol import TWO_PASSES, Protocol
from stvg_jax.grounding.step_sizes import fit_backend, least_bytes
from stvg_jax.grounding.task import GroundingTask, learning_rate_rules

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.loading.needs import NeededFrames


def usual_clip(rules: str | None, **settings: Any) -> ClipConfig:
    """Clips by the rules of a dataset, with these settings; see `Family.released_clip`."""
    return ClipConfig(sampling=rules or ClipConfig.sampling, **settings)


def grounding_family(
    config: type[AppearanceConfig],
    model: Callable[..., nnx.Module],
    losses: type,
    learning_rates: type,
    *,
    groups: Callable[[Any], Rules] = learning_rate_rules,
    protocol: Protocol | None = TWO_PASSES,
    own_measures: OwnMeasures | None = None,
    released_clip: Callable[[str | None], ClipConfig] = usual_clip,
    formats: tuple[str, ...] = (),
) -> Family:
    """A family of models that are trained on tubes.

    Args:
        config, model, losses, learning_rates, groups, released_clip, formats: as in `Family`.
        protocol: evaluation protocol; None for a model that predicts no tubes and is only a start for others.
        own_measures: measures by which the family was published, if not the usual ones.
    """

    def needed_frames(settings: ClipConfig) -> NeededFrames:
        from stvg_jax.data_pipeline.loading.config import LoaderConfig
        from stvg_jax.data_pipeline.loading.needs import ClipFrames

        return ClipFrames(LoaderConfig(**dataclasses.asdict(settings)), protocol or TWO_PASSES)

    def inputs(config: Mapping[str, Any], split: str) -> Inputs:
        from stvg_jax.grounding.inputs import GroundingInputs

        return GroundingInputs(config, split, protocol or TWO_PASSES)

    def evaluator(clip: ClipConfig) -> Evaluator:
        from stvg_jax.grounding.evaluation.evaluator import GroundingEvaluator

        assert protocol is not None
        return GroundingEvaluator(protocol.of(clip), own_measures)

    return Family(
        config=config,
        clip=ClipConfig,
        released_clip=released_clip,
        needed_frames=None if protocol is None else needed_frames,
        model=model,
        losses=losses,
        learning_rates=learning_rates,
        groups=groups,
        uses=lambda config: config.uses,
        task=GroundingTask,
        text=lambda config: TextSize(config.roberta.vocab_size, config.roberta.max_tokens),
        fit=fit_backend,
        least_bytes=least_bytes,
        batch=_batch,
        inputs=inputs,
        evaluator=None if protocol is None else evaluator,
        protocol=protocol,
        formats=formats,
    )


def _batch(experiment: Mapping[str, Any], *args: Any, **sizes: Any) -> dict[str, jax.ShapeDtypeStruct]:
    from stvg_jax.grounding.inputs import batch_shapes

    return batch_shapes(experiment, *args, **sizes)
