"""Section `eval` of an experiment."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """Settings of an evaluation.

    Attributes:
        split: split to evaluate, "test", "val" or "train".
        samples_per_device: samples in one step, each with a row for every pass of the protocol. Results do not depend
            on it.
        dtype: dtype of the computation, "float32" or "bfloat16".
        pictures: number of best, of median and of worst cases that the page shows.
        subject: words that the model reads as the name of the target, for models that read them before the sentence:
            "annotated", "found" in the sentence, "wrong" or "none". Other subjects than the annotated are evaluated
            beside them, and the difference is reported (docs/results.md).
        reranked: best answers to each query of a retrieval that the model compares again, by reading both together; 0
            for none.
        benchmark: test set whose published figures are shown, such as "hcstvg1" (`Dataset.benchmarks`), or "none".
    """

    split: str = "test"
    samples_per_device: int = 1
    dtype: str = "float32"
    pictures: int = 3
    subject: str = "annotated"
    reranked: int = 32
    benchmark: str = "none"

    def __post_init__(self) -> None:
        for name, least in (("samples_per_device", 1), ("pictures", 0), ("reranked", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}")
