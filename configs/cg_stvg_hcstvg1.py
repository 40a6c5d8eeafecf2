"""CG-STVG on HC-STVG v1, as released."""

from __future__ import annotations

import ml_collections

from stvg_jax.configs import released
from stvg_jax.grounding.cg_stvg import CGSTVGLearningRates, CGSTVGLossConfig


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return released.experiment(
        arg,
        name="cg_stvg",
        model={},
        dataset="hcstvg",
        folder="hc-stvg",
        benchmark="hcstvg1",
        losses=CGSTVGLossConfig(),
        learning_rates=CGSTVGLearningRates(),
        schedule=released.HCSTVG_SCHEDULE,
    )
