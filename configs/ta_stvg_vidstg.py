"""TA-STVG on VidSTG, as released."""

from __future__ import annotations

import ml_collections

from stvg_jax.configs import released
from stvg_jax.grounding.losses import LossConfig
from stvg_jax.grounding.task import LearningRates
from stvg_jax.train.schedules import ScheduleConfig


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return released.experiment(
        arg,
        name="ta_stvg",
        dataset="vidstg",
        folder="vidstg",
        benchmark="vidstg",
        model={**released.VIDSTG_QUERIES, "motion_words": 34},
        losses=LossConfig(box_giou=3.0, start_end=2.0),
        learning_rates=LearningRates(image_backbone=1e-5, target_queries=3e-4),
        # All groups warm up and drop together (released: `multistep_with_warmup_all`).
        schedule=ScheduleConfig(epochs=11, drop_epochs=(9, 11), warm_up_all=True),
    )
