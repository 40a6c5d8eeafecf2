"""ALPRO on DiDeMo, as released: paragraphs, whose texts are longer than those of MSR-VTT; commands as in
alpro_msrvtt.py."""

from __future__ import annotations

import ml_collections

from stvg_jax.configs import alpro_msrvtt


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return alpro_msrvtt.experiment(arg, dataset="didemo", model={"max_tokens": 50}, epochs=10, batch_size=96)
