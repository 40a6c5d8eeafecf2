"""Exponential moving average of parameters, which evaluation uses (reference: `update_ema` in `engine/optimizer.py`).

Only trained parameters need one: the average of what never changes is itself.
"""

from __future__ import annotations

from typing import TypeVar

import jax
import jax.numpy as jnp

T = TypeVar("T")


def start_average(parameters: T) -> T:
    """The average before the first update: a copy, because a training step gives its arguments' memory away."""
    return jax.tree.map(jnp.copy, parameters)


def update_average(average: T, parameters: T, decay: float) -> T:
    """decay * average + (1 - decay) * parameters, for trees of equal structure."""
    return jax.tree.map(lambda mean, new: decay * mean + (1.0 - decay) * new, average, parameters)
