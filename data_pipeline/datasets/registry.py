"""Datasets by name. The module of a dataset is imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from stvg_jax.core.errors import InputError, quoted

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.datasets.dataset import Benchmark, Dataset

# Each module exports its record as `DATASET`.
MODULES = {
    "hcstvg": "stvg_jax.data_pipeline.datasets.hcstvg",
    "vidstg": "stvg_jax.data_pipeline.datasets.vidstg",
    "json": "stvg_jax.data_pipeline.datasets.generic",
    "didemo": "stvg_jax.data_pipeline.datasets.didemo",
    "lsmdc": "stvg_jax.data_pipeline.datasets.lsmdc",
    "msrvtt": "stvg_jax.data_pipeline.datasets.msrvtt",
    "msvd": "stvg_jax.data_pipeline.datasets.msvd",
    "shapes": "stvg_jax.data_pipeline.datasets.shapes",
}
NO_BENCHMARK = "none"


def get_dataset(name: str) -> Dataset:
    """The record of a dataset.

    Raises:
        InputError: there is none with this name.
    """
    if not isinstance(name, str) or name not in MODULES:
        raise InputError(f"unknown dataset {quoted(name)}; choose one of {', '.join(MODULES)}")
    return importlib.import_module(MODULES[name]).DATASET


def all_datasets() -> list[Dataset]:
    """The records of all datasets."""
    return [get_dataset(name) for name in MODULES]


def benchmarks() -> dict[str, Benchmark]:
    """Test sets with published results, of all datasets, by name."""
    return {name: benchmark for dataset in all_datasets() for name, benchmark in dataset.benchmarks.items()}


def get_benchmark(name: str) -> Benchmark | None:
    """A test set with published results; None for "none".

    Raises:
        InputError: there is none with this name.
    """
    if name == NO_BENCHMARK:
        return None
    known = benchmarks()
    if not isinstance(name, str) or name not in known:
        raise InputError(f"unknown benchmark {quoted(name)}; choose one of {', '.join(known)}, {NO_BENCHMARK}")
    return known[name]
