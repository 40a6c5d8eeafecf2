"""LSMDC for retrieval: a test set of 1,000 clips."""

from __future__ import annotations

from stvg_jax.data_pipeline.datasets.caption_lists import caption_dataset, retrieval_benchmark

DATASET = caption_dataset(
    "lsmdc",
    "LSMDC",
    # The release's names; its authors publish no files.
    (
        *("retrieval_{split}.json", "retrieval_{split}_1k.json", "retrieval_{split}_all.json"),
        *("annotations/retrieval_{split}.json", "annotations/retrieval_{split}_1k.json"),
        "annotations/retrieval_{split}_all.json",
    ),
    ("videos",),
    {"lsmdc": retrieval_benchmark("LSMDC, test of 1,000 clips", 1000)},
)
