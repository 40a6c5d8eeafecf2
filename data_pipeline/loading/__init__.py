"""Batches for training and evaluation, from samples and stored frames; `schema` describes their arrays."""

from stvg_jax.data_pipeline.loading.config import LoaderConfig
from stvg_jax.data_pipeline.loading.loader import Loader
from stvg_jax.data_pipeline.loading.schema import GROUNDING_BATCH, Batch

__all__ = ["GROUNDING_BATCH", "Batch", "Loader", "LoaderConfig"]
