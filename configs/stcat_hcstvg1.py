"""STCAT on HC-STVG v1, as released: frames of 448 pixels, which `stvg-jax prepare frames --family stcat` stores.

It starts from MDETR, with the norm of its decoder (`stvg-jax checkpoints mdetr_stcat`). With TA-STVG's target-aware
queries: `--config.model.queries=both` (docs/queries.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_collections

from stvg_jax.configs import released
from stvg_jax.grounding.stcat import STCATLearningRates, STCATLossConfig


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return experiment(
        arg,
        dataset="hcstvg",
        folder="hc-stvg",
        benchmark="hcstvg1",
        losses=STCATLossConfig(),
        learning_rates=STCATLearningRates(),
        schedule=released.HCSTVG_SCHEDULE,
    )


def experiment(arg: str, *, model: Mapping[str, Any] = {}, **options: Any) -> ml_collections.ConfigDict:
    """`released.experiment` of STCAT, which has larger pictures, augments their size and starts from MDETR alone."""
    config = released.experiment(arg, name="stcat", model=model, **options)
    config.update(
        {
            "loader": {
                "flip": 0.5,
                "scales": (448, 416, 384, 352),
                "size_crop": 0.5,
                "crop_scales": (400, 500, 600),
                "crop_sides": (384, 600),
            },
            "train": {"initialise": ("mdetr_stcat",)},
        }
    )
    return config
