"""A small TA-STVG trained from scratch on generated videos of moving shapes (docs/shapes.md), in five phases.

    stvg-jax prepare shapes data/shapes_looks --kind looks --height 64 --train 3000 --val 0 --test 0
    stvg-jax prepare shapes data/shapes_appearance --kind appearance --height 64 --train 4000 --val 0 --test 0
    stvg-jax prepare shapes data/shapes_motion --kind motion --height 64 --train 5000 --val 0 --test 0
    stvg-jax prepare shapes data/shapes --train 8000
    for NAME in shapes_looks shapes_appearance shapes_motion; do
        stvg-jax prepare frames --dataset hcstvg --annotations data/$NAME --split train --out frames/$NAME --frames all
    done
    stvg-jax prepare frames --dataset hcstvg --annotations data/shapes --split train val test --out frames/shapes \\
        --frames all
    for PHASE in looks appearance motion halves; do
        stvg-jax train --config configs/shapes.py:$PHASE --workdir runs/shapes_$PHASE
    done
    stvg-jax train --config configs/shapes.py --workdir runs/shapes
    stvg-jax eval --config configs/shapes.py --checkpoint runs/shapes/best --out eval/shapes --config.eval.split=test

The released models start from backbones that know what things are and what words mean. This one learns that first. On
whole clips of things that are much alike its boxes do not improve in 15,000 samples: finding the right one is worth
nothing until words have a meaning, and words get none until things are found. So it begins with single pictures, which
show many more sentences in the same time, of a thing among strangers (`looks`) and then among things that differ in one
word (`appearance`). Movements follow in the same way, in runs of four frames (`motion`); then come half clips and whole
clips of all kinds, at lower rates: a step shows few of them, and at the rates of the pictures looks would be forgotten.
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
    """What differs between the phases.

    Attributes:
        data: name of the folders.
        window: `LoaderSettings.window`.
        batch_size, epochs: of the training.
        rates: full learning rates of the groups in `_GROUPS`.
        start: the checkpoint to start from.
    """

    data: str
    window: int
    batch_size: int
    epochs: int
    rates: tuple[float, ...]
    start: tuple[str, ...]


_PHASES = {
    "looks": _Phase("shapes_looks", 1, 128, 45, (7e-4,) * 5, ()),
    "appearance": _Phase("shapes_appearance", 1, 128, 40, (1e-3,) * 5, ("runs/shapes_looks/last",)),
    "motion": _Phase("shapes_motion", 4, 64, 12, (4e-4, 1e-4, 4e-4, 7e-4, 4e-4), ("runs/shapes_appearance/last",)),
    "halves": _Phase("shapes", 8, 32, 3, (4e-4, 1e-4, 4e-4, 7e-4, 4e-4), ("runs/shapes_motion/last",)),
    # 17 frames, with the clip's last, would be padded to twice as many windows of the video backbone.
    "": _Phase("shapes", 16, 16, 4, (3e-4, 1e-4, 3e-4, 5e-4, 3e-4), ("runs/shapes_halves/last",)),
}


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment's last phase, or the one named by `arg`, a key of `_PHASES`."""
    if arg not in _PHASES:
        named = ", ".join(f"shapes:{name}" for name in _PHASES if name)
        raise InputError(f"shapes:{arg} is unknown; the phases are {named} and shapes")
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
    return ml_collections.ConfigDict(
        {
            "name": "ta_stvg",
            "model": model,
            "clip": dataclasses.asdict(ClipConfig(sampling="hcstvg", resolution=64, sample_fps=0.8)),
            "data": dataclasses.asdict(
                DataConfig(dataset="hcstvg", annotations=f"data/{phase.data}", frames=f"frames/{phase.data}")
            ),
            # A temporal crop would cut off what "first" or "after the square stops" refer to.
            "loader": dataclasses.asdict(
                LoaderSettings(
                    width_multiple=32, text_lengths=(24, 32), temporal_crop=0.0, window=phase.window, flip=0.5
                )
            ),
            "eval": dataclasses.asdict(EvalConfig(samples_per_device=8)),
            # A text encoder that begins with nothing needs more than a hint of what words are about.
            "loss": dataclasses.asdict(LossConfig(sigma=1.0, motion_attributes=10.0, appearance_attributes=10.0)),
            "learning_rates": dataclasses.asdict(LearningRates(**dict(zip(_GROUPS, phase.rates, strict=True)))),
            "schedule": dataclasses.asdict(
                ScheduleConfig(
                    epochs=phase.epochs,
                    drop_epochs=(),
                    warmup=0.05,
                    linear_groups=() if arg else _GROUPS,
                    warm_up_all=True,
                )
            ),
            "optim": dataclasses.asdict(OptimConfig(max_gradient_norm=1.0, ema_decay=0.998)),
            "train": dataclasses.asdict(
                TrainConfig(
                    batch_size=phase.batch_size,
                    dtype="float32",
                    remat="none",
                    initialise=phase.start,
                    # Later phases need more words than the sentences of the first have.
                    tokenizer="" if phase.start else f"data/{phase.data}/annos/vocabulary.json",
                    save_every=250,
                    validate_every=500,
                    validate_split="val" if phase.data == "shapes" else "",
                )
            ),
        }
    ).lock()
