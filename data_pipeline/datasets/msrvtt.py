"""MSR-VTT for retrieval: the test set 1k-A, with one caption a video."""

from __future__ import annotations

from stvg_jax.data_pipeline.datasets.caption_lists import (
    ALPRO_README,
    TEXT_TO_VIDEO,
    PublishedResult,
    caption_dataset,
    retrieval_benchmark,
)

DATASET = caption_dataset(
    "msrvtt",
    "MSR-VTT",
    # The release saves the training file under another name.
    (
        *("retrieval_{split}.json", "ret_{split}.json", "ret_{split}9k.json"),
        *("annotations/retrieval_{split}.json", "annotations/ret_{split}9k.json"),
    ),
    ("videos",),
    {
        "msrvtt": retrieval_benchmark(
            "MSR-VTT, test 1k-A",
            1000,
            PublishedResult("ALPRO", "CVPR 2022", {TEXT_TO_VIDEO: (33.9, 60.7, 73.2, 3.0)}, ALPRO_README),
        )
    },
)
