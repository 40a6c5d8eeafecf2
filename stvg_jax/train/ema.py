"""Exponential moving average of trained parameters (released code: `update_ema` in `engine/optimizer.py`)."""

from __future__ import annotations

from typing import TypeVar

import jax
import jax.numpy as jnp

T = TypeVar("T")


def start_average(parameters: T) -> T:
    """The average before the first update: a copy, because a training step reuses the memory of its arguments."""
    return jax.tree.map(jnp.copy, parameters)


def update_average(average: T, parameters: T, decay: float) -> T:
    """decay * average + (1 - decay) * parameters, for trees of equal structure."""
    return jax.tree.map(lambda mean, new: decay * mean + (1.0 - decay) * new, average, parameters)
