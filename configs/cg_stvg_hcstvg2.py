"""CG-STVG on HC-STVG v2, as released: v1 with another truth threshold."""

from __future__ import annotations

import dataclasses

import ml_collections

from stvg_jax.configs import released
from stvg_jax.grounding.cg_stvg import CGSTVGLearningRates, CGSTVGLossConfig
from stvg_jax.grounding.instance_context import ContextConfig


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return released.experiment(
        arg,
        name="cg_stvg",
        model={"context": dataclasses.asdict(ContextConfig(truth_threshold=0.7))},
        dataset="hcstvg",
        folder="hc-stvg2",
        benchmark="hcstvg2",
        losses=CGSTVGLossConfig(),
        learning_rates=CGSTVGLearningRates(),
        schedule=released.HCSTVG_SCHEDULE,
    )
