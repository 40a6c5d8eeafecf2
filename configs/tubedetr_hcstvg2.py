"""TubeDETR on HC-STVG v2, as released: v1 with fewer epochs."""

from __future__ import annotations

import ml_collections

from stvg_jax.configs.tubedetr_hcstvg1 import experiment


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return experiment(arg, dataset="hcstvg", folder="hc-stvg2", benchmark="hcstvg2", epochs=20, drop_epochs=(10,))
