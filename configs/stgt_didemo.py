"""STGT on DiDeMo, as released: paragraphs, whose texts are longer than those of MSR-VTT; commands as in
stgt_msrvtt.py."""

from __future__ import annotations

import ml_collections

from stvg_jax.configs import retrieval


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return retrieval.experiment(arg, name="stgt", dataset="didemo", model={"max_tokens": 55})
