"""A configuration for `stvg-jax train` whose step compiles in seconds; the command line gives the paths of the data.

`frozen_backbones` is off so that every parameter moves, and some dropout is left so that steps draw random numbers.
With the argument `region_recognition` or `pointing` it is a start for the same model that is trained; with another name
of a family, a model of it.
"""

from __future__ import annotations

import dataclasses

import ml_collections

from stvg_jax.configs import ta_stvg_hcstvg1
from stvg_jax.core.registry import get_family
from stvg_jax.data_pipeline.loading.config import LoaderSettings
from stvg_jax.grounding.inference.clip import ClipConfig
from stvg_jax.train.config import TrainConfig
from tests.tiny import tiny_model_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    config = ta_stvg_hcstvg1.get_config()
    model = tiny_model_config(system=arg or "ta_stvg")
    small = {
        "resnet": {"blocks": (1,)},
        "swin": {"depths": (1,), "heads": (1,), "drop_path": 0.0},
        "roberta": {"dropout_rate": 0.0},
        "transformer": {"decoder_layers": 1, "dropout_rate": 0.0},
    }
    model |= {part: model[part] | changes for part, changes in small.items() if part in model}
    settings = {"appearance_words": 5, "motion_words": 5, "frozen_backbones": False}
    model |= {name: value for name, value in settings.items() if name in model}
    train = TrainConfig(
        batch_size=4,
        dtype="float32",
        remat="none",
        tokenizer="words",
        log_every=1,
        save_every=2,
        validate_every=0,
        max_steps=8,
        examples=2,
    )
    with config.unlocked():
        config.model = model
        config.clip = dataclasses.asdict(ClipConfig(sampling="hcstvg", resolution=32, sample_fps=0.4))
        config.loader = dataclasses.asdict(LoaderSettings(width_multiple=48, text_lengths=(32,), threads=1))
        config.eval.samples_per_device = 1
        config.eval.pictures = 1
        config.train = dataclasses.asdict(train)
        if arg:
            family = get_family(arg)
            config.name = arg
            config.loss = dataclasses.asdict(family.losses())
            config.learning_rates = dataclasses.asdict(family.learning_rates())
            config.schedule.linear_groups = ()
            config.train.validate_split = ""
    return config.lock()
