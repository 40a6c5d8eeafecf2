"""STCAT on generated videos of moving shapes, with the data and sizes of `configs/shapes.py`.

    stvg-jax train --config configs/shapes.py:images --workdir runs/shapes_images
    stvg-jax train --config configs/shapes_stcat.py:boxes --workdir runs/shapes_stcat_boxes
    stvg-jax train --config configs/shapes_stcat.py --workdir runs/shapes_stcat
    stvg-jax eval --config configs/shapes_stcat.py --checkpoint runs/shapes_stcat/best --out eval/shapes_stcat \\
        --config.eval.split=test
"""

from __future__ import annotations

import ml_collections

from stvg_jax.configs import shapes
from stvg_jax.grounding.stcat import STCATLossConfig


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The last phase, or `boxes`. The phase before decoders is `configs/shapes.py:images`."""
    return shapes.from_images(arg, name="stcat", losses=STCATLossConfig(sigma=1.0, actioness=10.0, outside_weight=1.0))
