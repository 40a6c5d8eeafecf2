"""Batches for training and evaluation, from samples and stored frames. `batch` is the glossary of what comes out."""

from stvg_jax.data_pipeline.loading.batch import Batch
from stvg_jax.data_pipeline.loading.config import LoaderConfig
from stvg_jax.data_pipeline.loading.pipeline import Loader

__all__ = ["Batch", "Loader", "LoaderConfig"]
