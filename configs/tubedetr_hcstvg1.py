"""TubeDETR on HC-STVG v1, as released: frames of 352 pixels, every fourth of them through the encoder.

It takes other frames than TA-STVG and in another size, which `stvg-jax prepare frames --family tubedetr` stores, and it
starts from MDETR's whole decoder (`stvg-jax checkpoints mdetr_tubedetr`). With TA-STVG's target-aware queries:
`--config.model.queries=both` (docs/queries.md). The released models of 224 pixels: `--config.clip.resolution=224
--config.model.stride=2`, and for their training `--config.loader.scales='(128,160,192,224)'
--config.loader.crop_scales='(100,150,200)' --config.loader.crop_sides='(96,373)'`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_collections

from stvg_jax.configs import released
from stvg_jax.grounding.tubedetr import TubeDETRLearningRates, TubeDETRLossConfig
from stvg_jax.train.schedules import ScheduleConfig


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return experiment(arg, dataset="hcstvg", folder="hc-stvg", benchmark="hcstvg1", epochs=40, drop_epochs=(10, 20, 30))


def experiment(
    arg: str, *, epochs: int, drop_epochs: tuple[int, ...], model: Mapping[str, Any] = {}, **options: Any
) -> ml_collections.ConfigDict:
    """`released.experiment` of TubeDETR, which sees up to 200 frames, at 5 per second, and starts from MDETR alone."""
    config = released.experiment(
        arg,
        name="tubedetr",
        model=model,
        losses=TubeDETRLossConfig(),
        learning_rates=TubeDETRLearningRates(),
        schedule=ScheduleConfig(epochs=epochs, drop_epochs=drop_epochs, linear_groups=("text",), first_update=0),
        **options,
    )
    config.update(
        {
            # The release has one video on each of 16 devices, and does not flip.
            "train": {
                "batch_size": 16,
                "initialise": ("mdetr_tubedetr",),
            },
            "loader": {
                "flip": 0.0,
                "scales": (224, 256, 288, 320, 352),
                "size_crop": 0.5,
                "crop_scales": (200, 250, 300),
                "crop_sides": (192, 587),
                "crop_tries": 100,
            },
        }
    )
    return config
