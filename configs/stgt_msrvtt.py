"""STGT on MSR-VTT, as released: evaluation on the 1,000 videos of 1k-A.

    stvg-jax prepare frames --dataset msrvtt --annotations data/msrvtt --split test --family stgt --frames sampled \\
        --out frames/msrvtt
    stvg-jax eval --config stgt_msrvtt --checkpoint stgt_msrvtt --out eval/stgt_msrvtt

and fine-tuning on the 9,000 of the training split, whose frames are all stored (without `--frames sampled`):

    stvg-jax train --config stgt_msrvtt --workdir runs/stgt_msrvtt

Encoding takes 4.4 TFLOP a video, re-ranking 0.02 TFLOP a pair; of the 32 best answers to each query there are at most
64,000 pairs. The figures of the authors' models are not known here.
"""

from __future__ import annotations

import ml_collections

from stvg_jax.configs import retrieval


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment; takes no argument."""
    return retrieval.experiment(arg, name="stgt", dataset="msrvtt", model={"max_tokens": 36})
