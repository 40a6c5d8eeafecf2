"""DiDeMo for retrieval: the sentences of a video as one caption."""

from __future__ import annotations

from stvg_jax.data_pipeline.datasets.caption_lists import (
    ALPRO_README,
    TEXT_TO_VIDEO,
    PublishedResult,
    caption_dataset,
    retrieval_benchmark,
)

DATASET = caption_dataset(
    "didemo",
    "DiDeMo (paragraphs)",
    ("retrieval_{split}.json", "annotations/retrieval_{split}.json"),
    ("videos",),
    {
        "didemo": retrieval_benchmark(
            "DiDeMo, test",
            1004,
            PublishedResult("ALPRO", "CVPR 2022", {TEXT_TO_VIDEO: (35.9, 67.5, 78.8, 3.0)}, ALPRO_README),
        )
    },
)
