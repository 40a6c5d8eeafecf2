"""What the TA-STVG experiments share."""

from __future__ import annotations

import dataclasses

import ml_collections

from stvg_jax.errors import InputError
from stvg_jax.eval.config import EvalConfig
from stvg_jax.grounding.losses import LossConfig
from stvg_jax.grounding.registry import default_config
from stvg_jax.grounding.task import LearningRates
from stvg_jax.inference.clip import ClipConfig
from stvg_jax.inputs import DataConfig, LoaderSettings
from stvg_jax.train.config import TrainConfig
from stvg_jax.train.optim import OptimConfig
from stvg_jax.train.schedules import ScheduleConfig

# Text and temporal decoder warm up and fall linearly; the other groups drop (reference: `multistep_with_warmup`).
HCSTVG_SCHEDULE = ScheduleConfig(epochs=90, drop_epochs=(50, 90), linear_groups=("text", "temporal_decoder"))


def experiment(
    arg: str,
    *,
    dataset: str,
    folder: str,
    benchmark: str,
    appearance_words: int,
    motion_words: int,
    sampling_threshold: float,
    losses: LossConfig,
    learning_rates: LearningRates,
    schedule: ScheduleConfig,
) -> ml_collections.ConfigDict:
    """A locked configuration of the full-size model.

    Args:
        arg: of `get_config`; must be empty.
        dataset: "hcstvg" or "vidstg": what the annotations are, and the rules by which frames are sampled.
        folder: of the dataset within data/, and of its frames within frames/.
        benchmark: whose published figures to compare with.
        appearance_words, motion_words: attribute vocabularies of the dataset.
        sampling_threshold: theta of text-guided temporal sampling.
        losses, learning_rates, schedule: of the dataset.

    Raises:
        InputError: if `arg` is not empty.
    """
    if arg:
        raise InputError(f"this configuration takes no argument, got {arg!r}")
    model = default_config("ta_stvg") | {
        "appearance_words": appearance_words,
        "motion_words": motion_words,
        "sampling_threshold": sampling_threshold,
    }
    config = ml_collections.ConfigDict(
        {
            "name": "ta_stvg",
            "model": model,
            "clip": dataclasses.asdict(ClipConfig(sampling=dataset)),
            "data": dataclasses.asdict(
                DataConfig(dataset=dataset, annotations=f"data/{folder}", frames=f"frames/{folder}")
            ),
            "loader": dataclasses.asdict(LoaderSettings()),
            "eval": dataclasses.asdict(EvalConfig(benchmark=benchmark)),
            "loss": dataclasses.asdict(losses),
            "learning_rates": dataclasses.asdict(learning_rates),
            "schedule": dataclasses.asdict(schedule),
            "optim": dataclasses.asdict(OptimConfig()),
            "train": dataclasses.asdict(
                TrainConfig(initialise=("checkpoints/mdetr", "checkpoints/video_swin"), tokenizer="checkpoints/mdetr")
            ),
        }
    )
    return config.lock()
