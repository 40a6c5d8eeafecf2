"""ALPRO on DiDeMo, as released: paragraphs, whose texts are longer than those of MSR-VTT; commands as in
alpro_msrvtt.py."""

from __future__ import annotations

import ml_collections

from stvg_jax.configs import retrieval


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return retrieval.experiment(arg, name="alpro", dataset="didemo", model={"max_tokens": 50}, reranked=1000)
