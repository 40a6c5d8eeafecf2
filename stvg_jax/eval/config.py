"""Section `eval` of an experiment."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """How to evaluate.

    Attributes:
        split: to evaluate, "test", "val" or "train".
        samples_per_device: in one step; each is as many rows as the protocol has passes. Results do not depend on it.
        dtype: of the computation, "float32" or "bfloat16".
        pictures: how many best, median and worst cases the page shows.
        benchmark: test set whose published figures to show, such as "hcstvg1" (`Dataset.benchmarks`), or "none".
    """

    split: str = "test"
    samples_per_device: int = 1
    dtype: str = "float32"
    pictures: int = 3
    benchmark: str = "none"

    def __post_init__(self) -> None:
        if self.samples_per_device < 1 or self.pictures < 0:
            raise ValueError(
                f"samples_per_device={self.samples_per_device} must be at least 1, pictures={self.pictures} at least 0"
            )
