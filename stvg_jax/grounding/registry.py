"""The grounding models by name: one line each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from flax import nnx

from stvg_jax.config import build
from stvg_jax.errors import InputError
from stvg_jax.grounding.ta_stvg import TASTVG, TASTVGConfig

MODELS: dict[str, tuple[type, type]] = {
    "ta_stvg": (TASTVGConfig, TASTVG),
}


def make_model(name: str, config: Mapping[str, Any], dtype: Any) -> nnx.Module:
    """Builds a model whose parameters are declared, not drawn.

    Args:
        name: a key of MODELS.
        config: its configuration as a nested mapping.
        dtype: of the computation.

    Raises:
        InputError: for an unknown name or a configuration the model does not have.
    """
    if name not in MODELS:
        raise InputError(f"model {name!r} is unknown; this version has {', '.join(MODELS)}")
    config_kind, model_kind = MODELS[name]
    return model_kind(build(config_kind, config, "config.model"), dtype=dtype)


def default_config(name: str) -> dict[str, Any]:
    """The whole default configuration of a model as nested dictionaries."""
    return dataclasses.asdict(MODELS[name][0]())
