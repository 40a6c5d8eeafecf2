"""MSVD for retrieval: all captions of each video."""

from __future__ import annotations

from stvg_jax.data_pipeline.datasets.caption_lists import caption_dataset, retrieval_benchmark

DATASET = caption_dataset(
    "msvd",
    "MSVD",
    # The names in LAVIS' storage, and those that the release saves them under.
    (
        *("cap_{split}.json", "ret_{split}.json", "ret_{split}_all.json"),
        *("annotations/cap_{split}.json", "annotations/ret_{split}.json", "annotations/ret_{split}_all.json"),
    ),
    ("YouTubeClips", "videos"),
    {"msvd": retrieval_benchmark("MSVD, test", 27_763)},
)
