"""CG-STVG on VidSTG, as released."""

from __future__ import annotations

import dataclasses

import ml_collections

from stvg_jax.configs import released
from stvg_jax.grounding.cg_stvg import CGSTVGLearningRates, CGSTVGLossConfig
from stvg_jax.grounding.instance_context import ContextConfig
from stvg_jax.train.schedules import ScheduleConfig


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    context = ContextConfig(temporal_threshold=-0.5, spatial_threshold=0.5, truth_threshold=0.5)
    return released.experiment(
        arg,
        name="cg_stvg",
        model={"context": dataclasses.asdict(context)},
        dataset="vidstg",
        folder="vidstg",
        benchmark="vidstg",
        losses=CGSTVGLossConfig(box_giou=3.0, start_end=1.0),
        learning_rates=CGSTVGLearningRates(image_backbone=1e-5),
        # All groups warm up and drop together (released: `multistep_with_warmup_all`).
        schedule=ScheduleConfig(epochs=10, drop_epochs=(8, 10), warm_up_all=True),
    )
