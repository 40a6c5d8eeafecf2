"""CG-STVG on the generated videos of moving shapes: data, sizes, backbones and phases of `configs/shapes.py`.

    stvg-jax train --config configs/shapes.py:backbones --workdir runs/shapes_backbones
    for PHASE in looks appearance presence deeds; do
        stvg-jax train --config configs/shapes_cg.py:$PHASE --workdir runs/shapes_cg_$PHASE
    done
    stvg-jax train --config configs/shapes_cg.py --workdir runs/shapes_cg
    stvg-jax eval --config configs/shapes_cg.py --checkpoint runs/shapes_cg/best --out eval/shapes_cg \\
        --config.eval.split=test
"""

from __future__ import annotations

import dataclasses

import ml_collections

from configs import shapes
from stvg_jax.errors import InputError
from stvg_jax.grounding.cg_stvg import CGSTVGLearningRates, CGSTVGLossConfig
from stvg_jax.grounding.instance_context import ContextConfig
from stvg_jax.grounding.registry import default_config


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The last phase, or the one named by `arg`, as in `configs/shapes.py`, whose backbones it shares."""
    config = shapes.get_config(arg).to_dict()
    if config["name"] == "region_recognition":
        raise InputError(f"shapes_cg:{arg} is unknown; both models begin with shapes:{arg}")
    if config["name"] == "pointing":
        config["model"]["subject"] = False  # as this model reads
        return ml_collections.ConfigDict(config).lock()
    model = default_config("cg_stvg")
    model |= {name: value for name, value in config["model"].items() if name in model}
    # Boxes of a model that starts from nothing are rarely as good as those of a pre-trained one.
    model["context"] = dataclasses.asdict(ContextConfig(temporal_threshold=0.0, truth_threshold=0.5))
    groups = [field.name for field in dataclasses.fields(CGSTVGLearningRates)]
    config |= {
        "name": "cg_stvg",
        "model": model,
        "loss": dataclasses.asdict(
            CGSTVGLossConfig(**{name: config["loss"][name] for name in ("sigma", "actioness", "outside_weight")})
        ),
        "learning_rates": {group: config["learning_rates"][group] for group in groups},
    }
    linear = config["schedule"]["linear_groups"]
    config["schedule"]["linear_groups"] = tuple(group for group in groups if group in linear)
    starts = config["train"]["initialise"]
    config["train"]["initialise"] = tuple(
        start if "backbones" in start else start.replace("runs/shapes_", "runs/shapes_cg_") for start in starts
    )
    return ml_collections.ConfigDict(config).lock()
