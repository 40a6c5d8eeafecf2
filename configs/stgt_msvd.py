"""STGT on MSVD, as released: all captions of each video; commands as in stgt_msrvtt.py. Re-ranking compares up to
910,000 pairs and takes six times as long as encoding."""

from __future__ import annotations

import ml_collections

from stvg_jax.configs import retrieval


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return retrieval.experiment(arg, name="stgt", dataset="msvd", model={"max_tokens": 32}, epochs=12)
