"""TubeDETR on generated videos of moving shapes, with the data and sizes of `configs/shapes.py`.

    stvg-jax train --config configs/shapes.py:images --workdir runs/shapes_images
    stvg-jax train --config configs/shapes_tubedetr.py:boxes --workdir runs/shapes_tubedetr_boxes
    stvg-jax train --config configs/shapes_tubedetr.py --workdir runs/shapes_tubedetr
    stvg-jax eval --config configs/shapes_tubedetr.py --checkpoint runs/shapes_tubedetr/best \\
        --out eval/shapes_tubedetr --config.eval.split=test
"""

from __future__ import annotations

import ml_collections

from stvg_jax.configs import shapes
from stvg_jax.grounding.tubedetr import TubeDETRLossConfig


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The last phase, or `boxes`. The phase before decoders is `configs/shapes.py:images`."""
    # A single pass of 24 frames, the second of each pair for the fast branch alone.
    clip = {"sampling": "tubedetr_hcstvg", "sample_fps": 1.2, "frames_per_pass": 200}
    losses = TubeDETRLossConfig(sigma=1.0)
    return shapes.from_images(arg, name="tubedetr", losses=losses, model={"stride": 2}, clip=clip, window=24)
