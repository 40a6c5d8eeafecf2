"""ALPRO on MSR-VTT, as released: every video is compared with every text, which R@1 of 33.9 in its README rests on.

    stvg-jax prepare frames --dataset msrvtt --annotations data/msrvtt --split test --family alpro --frames sampled \\
        --out frames/msrvtt
    stvg-jax eval --config alpro_msrvtt --checkpoint checkpoints/alpro_msrvtt --out eval/alpro_msrvtt

The release computes the million pairs of 1k-A once for each direction, here they are computed once.
"""

from __future__ import annotations

import ml_collections

from stvg_jax.configs import retrieval


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return retrieval.experiment(arg, name="alpro", dataset="msrvtt", model={"max_tokens": 35}, reranked=1000)
