"""TA-STVG on HC-STVG v1, as released."""

from __future__ import annotations

import ml_collections

from stvg_jax.configs import released
from stvg_jax.grounding.losses import LossConfig
from stvg_jax.grounding.task import LearningRates


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return released.experiment(
        arg,
        name="ta_stvg",
        dataset="hcstvg",
        folder="hc-stvg",
        benchmark="hcstvg1",
        model={"appearance_words": 15, "motion_words": 60, "sampling_threshold": 0.7},
        losses=LossConfig(),
        learning_rates=LearningRates(),
        schedule=released.HCSTVG_SCHEDULE,
    )
