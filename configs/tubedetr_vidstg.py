"""TubeDETR on VidSTG, as released."""

from __future__ import annotations

import ml_collections

from stvg_jax.configs import released
from stvg_jax.configs.tubedetr_hcstvg1 import experiment


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    data = {"dataset": "vidstg", "folder": "vidstg", "benchmark": "vidstg"}
    return experiment(arg, **data, model=released.VIDSTG_QUERIES, epochs=10, drop_epochs=())
