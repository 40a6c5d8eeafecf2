"""A small TA-STVG trained from scratch on generated videos of moving shapes (docs/shapes.md), in three phases.

    stvg-jax prepare shapes data/shapes --train 12000
    stvg-jax prepare shapes data/shapes_alone --alone --train 3000 --val 0 --test 0
    stvg-jax prepare frames --dataset hcstvg --annotations data/shapes --split train val test --out frames/shapes \\
        --frames all
    stvg-jax prepare frames --dataset hcstvg --annotations data/shapes_alone --split train --out frames/shapes_alone \\
        --frames all
    stvg-jax train --config configs/shapes.py:alone --workdir runs/shapes_alone
    stvg-jax train --config configs/shapes.py:few --workdir runs/shapes_few
    stvg-jax train --config configs/shapes.py --workdir runs/shapes
    stvg-jax eval --config configs/shapes.py --checkpoint runs/shapes/best --out eval/shapes --config.eval.split=test

The released models start from backbones that know what things are and where. This one learns that first, from videos of
one thing: on videos of several, boxes do not improve in 15,000 samples, since finding things is worth nothing until the
right one is chosen, and choosing nothing until things are found. Then it learns to choose, from four frames of a clip
and so from four times as many clips in the same time; then times, from all frames.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

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

_GROUPS = ("base", "image_backbone", "text", "temporal_decoder", "target_queries")


class _Phase(NamedTuple):
    """What differs between the phases; `data` is the name of the folders, `start` the checkpoint to start from."""

    data: str
    sample_fps: float
    batch_size: int
    epochs: int
    start: tuple[str, ...]


_PHASES = {
    "alone": _Phase("shapes_alone", 0.2, 32, epochs=6, start=()),
    "few": _Phase("shapes", 0.2, 32, epochs=10, start=("runs/shapes_alone/last",)),
    "": _Phase("shapes", 0.8, 16, epochs=3, start=("runs/shapes_few/last",)),
}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment's last phase, or the one named by `arg`: "alone" or "few"."""
    if arg not in _PHASES:
        raise InputError(f"shapes:{arg} is unknown; the phases are shapes:alone, shapes:few and shapes")
    phase = _PHASES[arg]
    model = default_config("ta_stvg")
    model |= {"appearance_words": 12, "motion_words": 11, "sampling_threshold": 0.5, "frozen_backbones": False}
    # Features 16 pixels apart: about one thing in each.
    model["resnet"] |= {"blocks": (1, 1, 1), "width": 16}
    model["swin"] |= {"width": 32, "depths": (1, 1), "heads": (2, 4), "window": (8, 4, 4), "patch": 8}
    model["swin"] |= {"mlp_ratio": 2, "drop_path": 0.0}
    model["roberta"] |= {"vocab_size": 128, "width": 96, "layers": 2, "heads": 4, "hidden": 192, "dropout_rate": 0.0}
    model["transformer"] |= {"width": 96, "heads": 4, "hidden": 192, "encoder_layers": 2, "decoder_layers": 3}
    model["transformer"] |= {"dropout_rate": 0.0, "head_dropout_rate": 0.0, "placed_tokens": True}
    full = 1e-3
    return ml_collections.ConfigDict(
        {
            "name": "ta_stvg",
            "model": model,
            "clip": dataclasses.asdict(ClipConfig(sampling="hcstvg", resolution=64, sample_fps=phase.sample_fps)),
            "data": dataclasses.asdict(
                DataConfig(dataset="hcstvg", annotations=f"data/{phase.data}", frames=f"frames/{phase.data}")
            ),
            # A temporal crop would cut off what "first" or "after the square stops" refer to.
            "loader": dataclasses.asdict(
                LoaderSettings(width_multiple=32, text_lengths=(24, 32), temporal_crop=0.0, flip=0.5)
            ),
            "eval": dataclasses.asdict(EvalConfig(samples_per_device=8)),
            "loss": dataclasses.asdict(LossConfig(sigma=1.0)),
            "learning_rates": dataclasses.asdict(LearningRates(**dict.fromkeys(_GROUPS, full))),
            "schedule": dataclasses.asdict(
                ScheduleConfig(epochs=phase.epochs, drop_epochs=(), warmup=0.05, linear_groups=_GROUPS)
            ),
            "optim": dataclasses.asdict(OptimConfig(max_gradient_norm=1.0, ema_decay=0.998)),
            "train": dataclasses.asdict(
                TrainConfig(
                    batch_size=phase.batch_size,
                    dtype="float32",
                    remat="none",
                    initialise=phase.start,
                    tokenizer="" if phase.start else "words",
                    save_every=250,
                    validate_every=750,
                    validate_split="val" if phase.data == "shapes" else "",
                )
            ),
        }
    ).lock()
