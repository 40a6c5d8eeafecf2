"""A small TA-STVG trained from scratch on generated videos of moving shapes (docs/shapes.md), in five phases.

The README, section "Train", has all commands, from generating the data to the evaluation.

The released models start from pre-trained backbones and from an encoder that was trained on captions and regions of
images. This one is pre-trained in the first phases:

    backbones   backbones learn to name what is inside the true boxes; afterwards only the later stages of ResNet are
                trained, as in the papers
    pointing    the encoder, without decoders, learns in which cells of a frame the target is, from windows of four
                frames and all kinds of sentences
    verbs       the same, with sentences in which only the verb tells the target
    boxes       the whole model, from windows of four frames, which show many more sentences in the same time than whole
                clips
    (none)      the whole model, from whole clips

`images` takes the place of the first three for models without a motion backbone (`configs/shapes_stcat.py`,
`configs/shapes_tubedetr.py`): image backbone and encoder learn in which cells of single pictures the target is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import ml_collections

from stvg_jax.core.errors import InputError
from stvg_jax.core.registry import default_config, get_family
from stvg_jax.data_pipeline.loading.config import LoaderSettings
from stvg_jax.eval.config import EvalConfig
from stvg_jax.grounding.inference.clip import ClipConfig
from stvg_jax.grounding.inputs import DataConfig
from stvg_jax.grounding.losses import LossConfig
from stvg_jax.train.config import TrainConfig
from stvg_jax.train.optim import OptimConfig
from stvg_jax.train.schedules import ScheduleConfig

_GROUPS = ("base", "image_backbone", "text", "temporal_decoder", "target_queries")


class _Phase(NamedTuple):
    """Settings that differ between the phases.

    Attributes:
        data: name of the data's folder in data/ and in frames/.
        window: `LoaderSettings.window`.
        batch_size, epochs: of the training.
        rates: peak learning rates of the groups in `_GROUPS`.
        start: name of the phase to start from; "" to start from scratch.
        name: of the family.
    """

    data: str
    window: int
    batch_size: int
    epochs: int
    rates: tuple[float, ...]
    start: str
    name: str = "ta_stvg"


_PHASES = {
    "backbones": _Phase("shapes_motion", 8, 32, 6, (2e-3,) * 5, "", "region_recognition"),
    "pointing": _Phase("shapes", 4, 128, 30, (1e-3, 1e-4, 1e-3, 1e-3, 1e-3), "backbones", "pointing"),
    "verbs": _Phase("shapes_verbs", 4, 128, 10, (1e-3, 1e-4, 1e-3, 1e-3, 1e-3), "pointing", "pointing"),
    "images": _Phase("shapes", 1, 256, 40, (1e-3,) * 5, "", "image_pointing"),
    "boxes": _Phase("shapes", 4, 64, 10, (1e-3, 1e-4, 3e-4, 1e-3, 7e-4), "verbs"),
    # A 17th frame, the last of the clip, would be padded to twice as many windows of the video backbone.
    "": _Phase("shapes", 16, 16, 7, (7e-4, 1e-4, 2e-4, 1e-3, 7e-4), "boxes"),
}

# A text encoder that is trained from scratch needs larger weights of the attribute losses. Actioness is learned best
# with equal weights of all frames.
_LOSS = LossConfig(sigma=1.0, actioness=10.0, outside_weight=1.0, motion_attributes=10.0, appearance_attributes=10.0)


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The last phase, or the one that `arg` names (a key of `_PHASES`)."""
    if arg not in _PHASES:
        named = ", ".join(f"shapes:{name}" for name in _PHASES if name)
        raise InputError(f"shapes:{arg} is unknown; the phases are {named} and shapes")
    phase = _PHASES[arg]
    start = _PHASES[phase.start] if phase.start else None
    family = get_family(phase.name)
    rates: dict[str, float] = dict(zip(_GROUPS, phase.rates, strict=True))
    groups = [field.name for field in dataclasses.fields(family.learning_rates)]
    return ml_collections.ConfigDict(
        {
            "name": phase.name,
            "model": _model(phase.name),
            "clip": dataclasses.asdict(ClipConfig(sampling="hcstvg", resolution=64, sample_fps=0.8)),
            "data": dataclasses.asdict(
                DataConfig(dataset="hcstvg", annotations=f"data/{phase.data}", frames=f"frames/{phase.data}")
            ),
            # A temporal crop could remove what "first" or "after the square stops" refers to.
            "loader": dataclasses.asdict(
                LoaderSettings(
                    width_multiple=32,
                    text_lengths=(16, 24, 32),
                    temporal_crop=0.0,
                    window=phase.window,
                    flip=0.5,
                )
            ),
            "eval": dataclasses.asdict(EvalConfig(samples_per_device=8)),
            "loss": dataclasses.asdict(_LOSS if family.evaluator else family.losses()),
            "learning_rates": {group: rates[group] for group in groups},
            "schedule": dataclasses.asdict(
                ScheduleConfig(
                    epochs=phase.epochs,
                    drop_epochs=(),
                    warmup=0.05,
                    linear_groups=tuple(groups),
                    warm_up_all=True,
                )
            ),
            "optim": dataclasses.asdict(OptimConfig(max_gradient_norm=1.0, ema_decay=0.998)),
            "train": dataclasses.asdict(
                TrainConfig(
                    batch_size=phase.batch_size,
                    dtype="float32",
                    remat="none",
                    initialise=(f"runs/shapes_{phase.start}/last",) if phase.start else (),
                    # Heads of a start that was trained for another task.
                    leave_out=("(appearance|motion)_head/.*",) if start and start.name != phase.name else (),
                    # A vocabulary for all phases; the sentences of the first phase have fewer words than later ones.
                    tokenizer="" if phase.start else f"data/{phase.data}/annos/vocabulary.json",
                    save_every=250,
                    validate_every=1250 if arg == "" else 0,
                    validate_split="val" if arg == "" else "",
                )
            ),
        }
    ).lock()


def from_images(
    arg: str,
    *,
    name: str,
    losses: Any,
    model: Mapping[str, Any] = {},
    clip: Mapping[str, Any] = {},
    window: int | None = None,
) -> ml_collections.ConfigDict:
    """A phase of a model without a motion backbone, which begins with `images`.

    Args:
        arg: "" for the last phase, or "boxes".
        name: of the family.
        losses: section `loss`.
        model, clip: settings of these sections that differ from those of TA-STVG.
        window: `LoaderSettings.window` of the last phase; None for that of TA-STVG.
    """
    config = get_config(arg).to_dict()
    if config["name"] != "ta_stvg":
        raise InputError(f"shapes_{name}:{arg} is unknown; this model begins with shapes:images")
    rates = dict.fromkeys((field.name for field in dataclasses.fields(get_family(name).learning_rates)), 7e-4)
    rates |= {"image_backbone": 3e-4, "text": 3e-4}
    known = default_config(name)
    known |= {key: value for key, value in config["model"].items() if key in known}
    config |= {
        "name": name,
        "model": known | {"queries": "zero", "second_pass": False, **model},
        "clip": config["clip"] | dict(clip),
        "loss": dataclasses.asdict(losses),
        "learning_rates": rates,
    }
    if window is not None and not arg:
        config["loader"]["window"] = window
    config["schedule"] |= {"epochs": 10, "linear_groups": tuple(rates)}
    start = "shapes_images" if arg else f"shapes_{name}_boxes"
    config["train"] |= {"initialise": (f"runs/{start}/last",)}
    if arg:
        config["train"] |= {"leave_out": ("appearance_head/.*",)}
    return ml_collections.ConfigDict(config).lock()


def _model(name: str) -> dict[str, Any]:
    """The configuration of the small model, for the parts that the family `name` has."""
    model = default_config(name)
    small: dict[str, Any] = {
        # Features are 16 pixels apart, about the size of a shape.
        "resnet": {"blocks": (1, 1, 1), "width": 16},
        # With one block at each scale, changes between frames are found only if a patch has several frames.
        "swin": {"width": 32, "depths": (1, 1), "heads": (2, 4), "window": (8, 4, 4), "patch": 8, "patch_frames": 3}
        | {"mlp_ratio": 2, "drop_path": 0.0},
        "roberta": {"vocab_size": 128, "width": 96, "layers": 2, "heads": 4, "hidden": 192, "dropout_rate": 0.0},
        "transformer": {"width": 96, "heads": 4, "hidden": 192, "encoder_layers": 2, "decoder_layers": 3}
        | {"head_dropout_rate": 0.0, "placed_tokens": True}
        # Pointing sees each clip thirty times and would overfit without dropout.
        | {"dropout_rate": 0.1 if name in ("pointing", "image_pointing") else 0.0},
    }
    queries = {"appearance_words": 12, "motion_words": 11, "sampling_threshold": 0.5}
    model |= {part: model[part] | changes for part, changes in small.items() if part in model}
    return model | {key: value for key, value in queries.items() if key in model}
