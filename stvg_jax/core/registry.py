"""Families of models by name, one line each.

A family is named by its module, which is imported when it is asked for, so every package may use the registry.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stvg_jax.core.config import build
from stvg_jax.core.errors import InputError, quoted

if TYPE_CHECKING:
    from flax import nnx

    from stvg_jax.family import Family

# Modules that export `FAMILY` (`stvg_jax.family.Family`).
FAMILIES = {
    "ta_stvg": "stvg_jax.grounding.ta_stvg",
    "cg_stvg": "stvg_jax.grounding.cg_stvg",
    "tubedetr": "stvg_jax.grounding.tubedetr",
    "stcat": "stvg_jax.grounding.stcat",
    "stgt": "stvg_jax.retrieval.stgt",
    "alpro": "stvg_jax.retrieval.alpro",
    "dual_encoder": "stvg_jax.retrieval.dual_encoder",
    "region_recognition": "stvg_jax.grounding.pretraining.region_recognition",
    "pointing": "stvg_jax.grounding.pretraining.pointing",
    "image_pointing": "stvg_jax.grounding.pretraining.image_pointing",
}


def get_family(name: str) -> Family:
    """Returns the family called `name`; raises InputError with the known names if there is none."""
    if name not in FAMILIES:
        raise InputError(f"model {quoted(name)} is unknown; this version has {', '.join(FAMILIES)}")
    return importlib.import_module(FAMILIES[name]).FAMILY


def build_config(name: str, values: Mapping[str, Any]) -> Any:
    """Configuration of a model from section `model` of an experiment.

    Raises:
        InputError: the name or a setting is unknown, or a value is not allowed.
    """
    return build(get_family(name).config, values, "config.model")


def make_model(name: str, config: Mapping[str, Any], dtype: Any) -> nnx.Module:
    """Builds a model with declared parameters (`stvg_jax.nn.declare`).

    Args:
        name: a key of FAMILIES.
        config: section `model` of an experiment.
        dtype: dtype of the computation.

    Raises:
        InputError: as `build_config`.
    """
    return get_family(name).model(build_config(name, config), dtype=dtype)


def default_config(name: str) -> dict[str, Any]:
    """Default configuration of a model as nested dictionaries."""
    return dataclasses.asdict(build_config(name, {}))
