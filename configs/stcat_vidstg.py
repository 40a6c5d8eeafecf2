"""STCAT on VidSTG, as released."""

from __future__ import annotations

import ml_collections

from stvg_jax.configs import released
from stvg_jax.configs.stcat_hcstvg1 import experiment
from stvg_jax.grounding.stcat import STCATLearningRates, STCATLossConfig
from stvg_jax.train.schedules import ScheduleConfig


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return experiment(
        arg,
        dataset="vidstg",
        folder="vidstg",
        benchmark="vidstg",
        model=released.VIDSTG_QUERIES,
        losses=STCATLossConfig(box_giou=3.0),
        learning_rates=STCATLearningRates(image_backbone=1e-5),
        # All groups warm up and drop together (released: `multistep_with_warmup_all`).
        schedule=ScheduleConfig(epochs=10, drop_epochs=(8, 10), warm_up_all=True),
    )
