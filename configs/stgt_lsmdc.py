"""STGT on LSMDC, as released: 1,000 clips; commands as in stgt_msrvtt.py. The annotation files are to be made from
the authors' lists (docs/retrieval.md)."""

from __future__ import annotations

import ml_collections

from stvg_jax.configs import retrieval


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return retrieval.experiment(arg, name="stgt", dataset="lsmdc", model={"max_tokens": 32})
