"""TA-STVG on HC-STVG v2, as released (the model is that of v1; training differs)."""

from __future__ import annotations

import ml_collections

from configs import ta_stvg


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return ta_stvg.experiment(
        arg,
        dataset="hcstvg",
        folder="hc-stvg2",
        benchmark="hcstvg2",
        appearance_words=15,
        motion_words=60,
        sampling_threshold=0.7,
    )
