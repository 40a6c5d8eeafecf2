"""CG-STVG on generated videos of moving shapes, with the data, sizes and phases of `configs/shapes.py`.

    for PHASE in backbones pointing verbs; do
        stvg-jax train --config configs/shapes.py:$PHASE --workdir runs/shapes_$PHASE
    done
    stvg-jax train --config configs/shapes_cg.py:boxes --workdir runs/shapes_cg_boxes
    stvg-jax train --config configs/shapes_cg.py --workdir runs/shapes_cg
    stvg-jax eval --config configs/shapes_cg.py --checkpoint runs/shapes_cg/best --out eval/shapes_cg \\
        --config.eval.split=test
"""

from __future__ import annotations

import dataclasses

import ml_collections

from stvg_jax.configs import shapes
from stvg_jax.core.errors import InputError
from stvg_jax.core.registry import default_config
from stvg_jax.grounding.cg_stvg import CGSTVGLearningRates, CGSTVGLossConfig
from stvg_jax.grounding.instance_context import ContextConfig


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The last phase, or `boxes`. The phases before decoders are in `configs/shapes.py`."""
    config = shapes.get_config(arg).to_dict()
    if config["name"] != "ta_stvg":
        raise InputError(f"shapes_cg:{arg} is unknown; both models begin with shapes:{arg}")
    model = default_config("cg_stvg")
    model |= {name: value for name, value in config["model"].items() if name in model}
    # In training all frames of the tube give context; in the paper, only those whose box is right. While boxes are
    # still bad, that choice would tell the model which of several shapes is meant, and at inference nothing tells it:
    # with the paper's 0.5, a model of an earlier recipe had 60.6 m_tIoU and 20.9 m_vIoU.
    model["context"] = dataclasses.asdict(ContextConfig(temporal_threshold=0.0, truth_threshold=-1.0))
    model["subject"] = True  # like the encoder that it starts from
    groups = [field.name for field in dataclasses.fields(CGSTVGLearningRates)]
    config |= {
        "name": "cg_stvg",
        "model": model,
        "loss": dataclasses.asdict(
            CGSTVGLossConfig(**{name: config["loss"][name] for name in ("sigma", "actioness", "outside_weight")})
        ),
        "learning_rates": {group: config["learning_rates"][group] for group in groups},
    }
    config["schedule"]["linear_groups"] = tuple(groups)
    starts = config["train"]["initialise"]
    config["train"]["initialise"] = tuple(start.replace("shapes_boxes", "shapes_cg_boxes") for start in starts)
    return ml_collections.ConfigDict(config).lock()
