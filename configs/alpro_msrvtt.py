"""ALPRO on MSR-VTT, as released: every video is compared with every text, which R@1 of 33.9 in its README rests on.

    stvg-jax prepare frames --dataset msrvtt --annotations data/msrvtt --split test --family alpro --frames sampled \\
        --out frames/msrvtt
    stvg-jax eval --config alpro_msrvtt --checkpoint alpro_msrvtt --out eval/alpro_msrvtt

The release computes the million pairs of 1k-A once for each direction, here they are computed once.
"""

from __future__ import annotations

from typing import Any

import ml_collections

from stvg_jax.configs import retrieval


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return experiment(arg, dataset="msrvtt", model={"max_tokens": 35}, epochs=5, batch_size=64)


def experiment(arg: str, **options: Any) -> ml_collections.ConfigDict:
    """`retrieval.experiment` of ALPRO, with the recipe of its fine-tuning in LAVIS."""
    recipe = {"weight_decay": 1e-4, "beta2": 0.999, "start": "alpro_pretrained"}
    return retrieval.experiment(arg, name="alpro", reranked=1000, **recipe, **options)
