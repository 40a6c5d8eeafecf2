"""Common parts of the experiments of retrieval models."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import ml_collections

from stvg_jax.core.errors import InputError
from stvg_jax.core.registry import default_config, get_family
from stvg_jax.data_pipeline.loading.caption_pairs import PairSettings
from stvg_jax.eval.config import EvalConfig
from stvg_jax.retrieval.inputs import RetrievalDataConfig
from stvg_jax.train.config import TrainConfig
from stvg_jax.train.optim import OptimConfig
from stvg_jax.train.schedules import ScheduleConfig

# Biases and norms do not decay; tables and the temperature, a single number, do.
UNDECAYED = (".*/(bias|scale)",)


def experiment(
    arg: str, *, name: str, dataset: str, model: Mapping[str, Any], reranked: int = 32, **training: Any
) -> ml_collections.ConfigDict:
    """The configuration of a full-size model, locked.

    Args:
        arg: of `get_config`; must be empty.
        name: of the family.
        dataset: dataset with captions, for the format of annotations and the published figures; its folder in data/,
            and that of its frames in frames/.
        model: settings of the model that differ from the defaults.
        reranked: best answers to each query that are compared again.
        training: see `recipe`.

    Raises:
        InputError: `arg` is not empty.
    """
    if arg:
        raise InputError(f"this configuration takes no argument, got {arg!r}")
    released_clip = get_family(name).released_clip
    assert released_clip is not None
    data = RetrievalDataConfig(dataset=dataset, annotations=f"data/{dataset}", frames=f"frames/{dataset}")
    config = ml_collections.ConfigDict(
        {
            "name": name,
            "model": default_config(name) | dict(model),
            "clip": dataclasses.asdict(released_clip(None)),
            "data": dataclasses.asdict(data),
            "eval": dataclasses.asdict(EvalConfig(benchmark=dataset, reranked=reranked)),
            **recipe(name, **training),
        }
    )
    return config.lock()


def recipe(
    name: str,
    *,
    epochs: int = 9,
    batch_size: int = 160,
    weight_decay: float = 0.05,
    beta2: float = 0.98,
    last_rate: float = 1e-6,
    start: str = "stgt_pretrained",
) -> dict[str, Any]:
    """Sections of a fine-tuning; the defaults are STGT's (its `projects/train` files; 20 pairs on each of 8 GPUs).

    Args:
        name: of the family, whose own learning rates are the first ones.
        epochs, batch_size: of the training.
        weight_decay, beta2: of the optimiser, which does not limit gradients.
        last_rate: learning rate to which the first falls by a cosine.
        start: checkpoint to start from.
    """
    family = get_family(name)
    rates = dataclasses.asdict(family.learning_rates())
    optim = OptimConfig(weight_decay=weight_decay, undecayed=UNDECAYED, max_gradient_norm=0.0, beta2=beta2)
    return {
        "loader": dataclasses.asdict(PairSettings()),
        "loss": dataclasses.asdict(family.losses()),
        "learning_rates": rates,
        "schedule": dataclasses.asdict(
            ScheduleConfig(epochs=epochs, drop_epochs=(), warmup=0.0, cosine_floor=last_rate / rates["base"])
        ),
        "optim": dataclasses.asdict(optim),
        "train": dataclasses.asdict(
            TrainConfig(batch_size=batch_size, initialise=(start,), validate_split="val", examples=0)
        ),
    }
