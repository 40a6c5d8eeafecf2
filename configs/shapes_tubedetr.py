"""TubeDETR on generated videos of moving shapes, with the data and sizes of `configs/shapes.py`.

    stvg-jax train --config configs/shapes.py:images --workdir runs/shapes_images
    stvg-jax train --config configs/shapes_tubedetr.py:boxes --workdir runs/shapes_tubedetr_boxes
    stvg-jax train --config configs/shapes_tubedetr.py --workdir runs/shapes_tubedetr
    stvg-jax eval --config configs/shapes_tubedetr.py --checkpoint runs/shapes_tubedetr/best \\
        --out eval/shapes_tubedetr --config.eval.split=test
"""

from __future__ import annotations

import dataclasses

import ml_collections

from stvg_jax.configs import shapes
from stvg_jax.core.errors import InputError
from stvg_jax.core.registry import default_config
from stvg_jax.grounding.tubedetr import TubeDETRLearningRates, TubeDETRLossConfig


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The last phase, or `boxes`. The phase before decoders is `configs/shapes.py:images`."""
    config = shapes.get_config(arg).to_dict()
    if config["name"] != "ta_stvg":
        raise InputError(f"shapes_tubedetr:{arg} is unknown; this model begins with shapes:images")
    model = default_config("tubedetr")
    model |= {name: value for name, value in config["model"].items() if name in model}
    rates = dict.fromkeys((field.name for field in dataclasses.fields(TubeDETRLearningRates)), 7e-4)
    rates |= {"image_backbone": 3e-4, "text": 3e-4}
    config |= {
        "name": "tubedetr",
        "model": model | {"queries": "zero", "second_pass": False, "stride": 2},
        # A single pass of 24 frames, the second half of each pair for the fast branch alone.
        "clip": config["clip"] | {"sampling": "tubedetr_hcstvg", "sample_fps": 1.2, "frames_per_pass": 200},
        "loss": dataclasses.asdict(TubeDETRLossConfig(sigma=1.0)),
        "learning_rates": rates,
    }
    if not arg:
        config["loader"]["window"] = 24
    config["schedule"] |= {"epochs": 10, "linear_groups": tuple(rates)}
    start = "shapes_tubedetr_boxes" if arg == "" else "shapes_images"
    config["train"] |= {"initialise": (f"runs/{start}/last",)}
    if arg:
        config["train"] |= {"leave_out": ("appearance_head/.*",)}
    return ml_collections.ConfigDict(config).lock()
