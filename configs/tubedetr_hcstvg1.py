"""TubeDETR on HC-STVG v1, as released: frames of 352 pixels, every fourth of them through the encoder.

Training starts from MDETR: `stvg-jax convert pretrained_resnet101_checkpoint.pth checkpoints/mdetr_tubedetr --format
mdetr_tubedetr`.
The released models of 224 pixels have `--config.clip.resolution=224 --config.model.stride=2`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import ml_collections

from stvg_jax.configs import released
from stvg_jax.grounding.inference.clip import ClipConfig
from stvg_jax.grounding.tubedetr_training import TubeDETRLearningRates, TubeDETRLossConfig
from stvg_jax.train.schedules import ScheduleConfig


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return experiment(arg, dataset="hcstvg", folder="hc-stvg", benchmark="hcstvg1", epochs=40, drop_epochs=(10, 20, 30))


def experiment(arg: str, *, epochs: int, drop_epochs: tuple[int, ...], **options: Any) -> ml_collections.ConfigDict:
    """`released.experiment` of TubeDETR, which sees up to 200 frames, at 5 per second, and starts from MDETR alone."""
    config = released.experiment(
        arg,
        name="tubedetr",
        model={},
        losses=TubeDETRLossConfig(),
        learning_rates=TubeDETRLearningRates(),
        schedule=ScheduleConfig(epochs=epochs, drop_epochs=drop_epochs, linear_groups=("text",), first_update=0),
        **options,
    )
    sampling = f"tubedetr_{options['dataset']}"
    config.clip = dataclasses.asdict(ClipConfig(sampling=sampling, resolution=352, frames_per_pass=200, sample_fps=5.0))
    # The batches of the released training: one video on each of 16 devices. It mirrors nothing.
    config.train.batch_size = 16
    config.train.initialise = ("checkpoints/mdetr_tubedetr",)
    config.loader.flip = 0.0
    return config
