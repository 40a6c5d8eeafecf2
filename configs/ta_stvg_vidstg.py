"""TA-STVG on VidSTG, as released."""

from __future__ import annotations

import ml_collections

from configs import ta_stvg


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return ta_stvg.experiment(
        arg,
        dataset="vidstg",
        folder="vidstg",
        benchmark="vidstg",
        appearance_words=20,
        motion_words=34,
        sampling_threshold=0.45,
    )
