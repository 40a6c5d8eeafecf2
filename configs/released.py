"""Common parts of the experiments of the released systems."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import ml_collections

from stvg_jax.core.errors import InputError
from stvg_jax.core.registry import default_config, get_family
from stvg_jax.data_pipeline.loading.config import LoaderSettings
from stvg_jax.eval.config import EvalConfig
from stvg_jax.grounding.inputs import DataConfig
from stvg_jax.train.config import TrainConfig
from stvg_jax.train.optim import OptimConfig
from stvg_jax.train.schedules import ScheduleConfig

# Text and temporal decoder warm up and fall linearly; the other groups drop (released: `multistep_with_warmup`).
HCSTVG_SCHEDULE = ScheduleConfig(epochs=90, drop_epochs=(50, 90), linear_groups=("text", "temporal_decoder"))

# Settings of target-aware queries that differ from those of HC-STVG.
VIDSTG_QUERIES = {"appearance_words": 20, "sampling_threshold": 0.45}


def experiment(
    arg: str,
    *,
    name: str,
    model: Mapping[str, Any],
    dataset: str,
    folder: str,
    benchmark: str,
    losses: Any,
    learning_rates: Any,
    schedule: ScheduleConfig,
) -> ml_collections.ConfigDict:
    """The configuration of a full-size model, locked.

    Args:
        arg: of `get_config`; must be empty.
        name: of the family.
        model: settings of its model that differ from the defaults.
        dataset: "hcstvg" or "vidstg", for the format of annotations, the frame rule and the text rule.
        folder: of the dataset within data/, and of its frames within frames/.
        benchmark: test set whose published figures are shown beside ours.
        losses, learning_rates: sections `loss` and `learning_rates`, dataclasses of the family.
        schedule: of the dataset.

    Raises:
        InputError: `arg` is not empty.
    """
    if arg:
        raise InputError(f"this configuration takes no argument, got {arg!r}")
    released_clip = get_family(name).released_clip
    assert released_clip is not None
    config = ml_collections.ConfigDict(
        {
            "name": name,
            "model": default_config(name) | dict(model),
            "clip": dataclasses.asdict(released_clip(dataset)),
            "data": dataclasses.asdict(
                DataConfig(dataset=dataset, annotations=f"data/{folder}", frames=f"frames/{folder}")
            ),
            "loader": dataclasses.asdict(LoaderSettings()),
            "eval": dataclasses.asdict(EvalConfig(benchmark=benchmark)),
            "loss": dataclasses.asdict(losses),
            "learning_rates": dataclasses.asdict(learning_rates),
            "schedule": dataclasses.asdict(schedule),
            "optim": dataclasses.asdict(OptimConfig()),
            "train": dataclasses.asdict(TrainConfig(initialise=("mdetr", "video_swin"))),
        }
    )
    return config.lock()
