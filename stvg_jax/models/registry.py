"""The models by name: one line each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from flax import nnx

from stvg_jax.core.config import build
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.grounding.base import GroundingConfig
from stvg_jax.grounding.cg_stvg import CGSTVG, CGSTVGConfig, CGSTVGLearningRates, CGSTVGLossConfig
from stvg_jax.grounding.losses import LossConfig
from stvg_jax.grounding.pretraining.pointing import (
    Pointing,
    PointingConfig,
    PointingLearningRates,
    PointingLossConfig,
    pointing_learning_rate_rules,
)
from stvg_jax.grounding.pretraining.region_recognition import (
    RegionLearningRates,
    RegionLossConfig,
    RegionRecognition,
    RegionRecognitionConfig,
    region_learning_rate_rules,
)
from stvg_jax.grounding.ta_stvg import TASTVG, TASTVGConfig
from stvg_jax.grounding.task import LearningRates, Losses, learning_rate_rules


@dataclasses.dataclass(frozen=True)
class Family:
    """What an experiment needs to know of a kind of model.

    Attributes:
        config: of section `model`.
        model: made of it.
        losses: of section `loss`.
        learning_rates: of section `learning_rates`.
        rules: of a model's configuration, the rules that put its parameters into groups of learning rates.
        grounds: whether it gives tubes; otherwise it is a start for those that do.
    """

    config: type[GroundingConfig]
    model: type[nnx.Module]
    losses: type[Losses]
    learning_rates: type
    rules: Callable[[Any], tuple[tuple[str, str], ...]] = learning_rate_rules
    grounds: bool = True


MODELS: dict[str, Family] = {
    "ta_stvg": Family(TASTVGConfig, TASTVG, LossConfig, LearningRates),
    "cg_stvg": Family(CGSTVGConfig, CGSTVG, CGSTVGLossConfig, CGSTVGLearningRates),
    "region_recognition": Family(
        RegionRecognitionConfig,
        RegionRecognition,
        RegionLossConfig,
        RegionLearningRates,
        region_learning_rate_rules,
        grounds=False,
    ),
    "pointing": Family(
        PointingConfig,
        Pointing,
        PointingLossConfig,
        PointingLearningRates,
        pointing_learning_rate_rules,
        grounds=False,
    ),
}


def get_family(name: str) -> Family:
    """The family called `name`; InputError with the known names otherwise."""
    if name not in MODELS:
        raise InputError(f"model {quoted(name)} is unknown; this version has {', '.join(MODELS)}")
    return MODELS[name]


def make_model(name: str, config: Mapping[str, Any], dtype: Any) -> nnx.Module:
    """Builds a model whose parameters are declared, not drawn.

    Args:
        name: a key of MODELS.
        config: its configuration as a nested mapping.
        dtype: of the computation.

    Raises:
        InputError: for an unknown name or a configuration the model does not have.
    """
    family = get_family(name)
    return family.model(build(family.config, config, "config.model"), dtype=dtype)


def whole_config(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """A model's configuration as nested dictionaries, with the defaults of what `config` leaves out.

    Raises:
        InputError: as `make_model`.
    """
    return dataclasses.asdict(build(get_family(name).config, config, "config.model"))


def default_config(name: str) -> dict[str, Any]:
    """The whole default configuration of a model as nested dictionaries."""
    return whole_config(name, {})
