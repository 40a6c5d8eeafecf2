"""A small dual encoder for retrieval among generated videos (docs/retrieval.md), on the backbones of the built-in
grounding model.

    stvg-jax prepare shapes data/shapes --train 8000 --captions
    stvg-jax prepare frames --dataset shapes --annotations data/shapes --split train val test --family dual_encoder \\
        --frames sampled --out frames/shapes
    stvg-jax train --config shapes_retrieval --workdir runs/shapes_retrieval
    stvg-jax eval --config shapes_retrieval --checkpoint runs/shapes_retrieval/best --out eval/shapes_retrieval
"""

from __future__ import annotations

import dataclasses

import ml_collections

from stvg_jax.configs import shapes
from stvg_jax.configs.retrieval import UNDECAYED
from stvg_jax.core.errors import InputError
from stvg_jax.core.registry import default_config, get_family
from stvg_jax.data_pipeline.loading.caption_pairs import PairSettings
from stvg_jax.eval.config import EvalConfig
from stvg_jax.retrieval.dual_encoder import DualEncoderLearningRates, DualEncoderLossConfig
from stvg_jax.retrieval.inputs import RetrievalDataConfig
from stvg_jax.train.config import TrainConfig
from stvg_jax.train.optim import OptimConfig
from stvg_jax.train.schedules import ScheduleConfig


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    if arg:
        raise InputError(f"this configuration takes no argument, got {arg!r}")
    start = shapes.get_config().to_dict()["model"]
    model = default_config("dual_encoder") | {part: start[part] for part in ("resnet", "swin", "roberta")}
    model |= {"projection": start["transformer"]["width"]}
    family = get_family("dual_encoder")
    assert family.released_clip is not None
    data = RetrievalDataConfig(
        dataset="shapes", annotations="data/shapes", frames="frames/shapes", features="features/shapes"
    )
    rates = dataclasses.asdict(DualEncoderLearningRates())
    return ml_collections.ConfigDict(
        {
            "name": "dual_encoder",
            "model": model,
            "clip": dataclasses.asdict(family.released_clip(None)),
            "data": dataclasses.asdict(data),
            # Features are kept of unchanged pictures.
            "loader": dataclasses.asdict(PairSettings(least_area=1.0, flip=0.0, operations=0)),
            "eval": dataclasses.asdict(EvalConfig(samples_per_device=8, reranked=0)),
            "loss": dataclasses.asdict(DualEncoderLossConfig()),
            "learning_rates": rates,
            "schedule": dataclasses.asdict(
                ScheduleConfig(epochs=2, drop_epochs=(), warmup=0.05, linear_groups=tuple(rates))
            ),
            "optim": dataclasses.asdict(
                OptimConfig(weight_decay=0.05, undecayed=UNDECAYED, max_gradient_norm=1.0, beta2=0.98, ema_decay=0.99)
            ),
            "train": dataclasses.asdict(
                TrainConfig(
                    batch_size=128,
                    dtype="float32",
                    remat="none",
                    initialise=("builtin",),
                    # All that only grounding needs.
                    leave_out=(
                        "(text_projection|encoder|temporal_decoder|spatial_decoder|target_queries)/.*",
                        r"(anchor|box|start_end|actioness)_head/.*",
                    ),
                    save_every=125,
                    validate_every=125,
                    validate_split="val",
                    examples=0,
                )
            ),
        }
    ).lock()
