"""STCAT on generated videos of moving shapes, with the data and sizes of `configs/shapes.py`.

    stvg-jax train --config configs/shapes.py:images --workdir runs/shapes_images
    stvg-jax train --config configs/shapes_stcat.py:boxes --workdir runs/shapes_stcat_boxes
    stvg-jax train --config configs/shapes_stcat.py --workdir runs/shapes_stcat
    stvg-jax eval --config configs/shapes_stcat.py --checkpoint runs/shapes_stcat/best --out eval/shapes_stcat \\
        --config.eval.split=test
"""

from __future__ import annotations

import dataclasses

import ml_collections

from stvg_jax.configs import shapes
from stvg_jax.core.errors import InputError
from stvg_jax.core.registry import default_config
from stvg_jax.grounding.stcat import STCATLearningRates, STCATLossConfig


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The last phase, or `boxes`. The phase before decoders is `configs/shapes.py:images`."""
    config = shapes.get_config(arg).to_dict()
    if config["name"] != "ta_stvg":
        raise InputError(f"shapes_stcat:{arg} is unknown; this model begins with shapes:images")
    model = default_config("stcat")
    model |= {name: value for name, value in config["model"].items() if name in model}
    rates = dict.fromkeys((field.name for field in dataclasses.fields(STCATLearningRates)), 7e-4)
    rates |= {"image_backbone": 3e-4, "text": 3e-4}
    config |= {
        "name": "stcat",
        "model": model | {"queries": "zero", "second_pass": False},
        "loss": dataclasses.asdict(STCATLossConfig(sigma=1.0, actioness=10.0, outside_weight=1.0)),
        "learning_rates": rates,
    }
    config["schedule"] |= {"epochs": 10, "linear_groups": tuple(rates)}
    start = "shapes_stcat_boxes" if arg == "" else "shapes_images"
    config["train"] |= {"initialise": (f"runs/{start}/last",)}
    if arg:
        config["train"] |= {"leave_out": ("appearance_head/.*",)}
    return ml_collections.ConfigDict(config).lock()
