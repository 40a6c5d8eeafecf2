"""TA-STVG on HC-STVG v2, as released: the model of v1, trained differently."""

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
        folder="hc-stvg2",
        benchmark="hcstvg2",
        model={"appearance_words": 15, "motion_words": 60, "sampling_threshold": 0.7},
        losses=LossConfig(start_end=10.0),
        learning_rates=LearningRates(base=3e-4, image_backbone=5e-6),
        schedule=released.HCSTVG_SCHEDULE,
    )
