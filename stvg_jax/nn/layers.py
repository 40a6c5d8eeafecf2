"""Layers that all models share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.nn.declare import Linear
from stvg_jax.nn.keys import DropoutKeys, draw_kept

gelu = partial(jax.nn.gelu, approximate=False)


def quick_gelu(x: jax.Array) -> jax.Array:
    """The approximation of GELU in CLIP's layers."""
    return x * jax.nn.sigmoid(1.702 * x)


def dropout(x: jax.Array, rate: float, rngs: nnx.Rngs | DropoutKeys | None) -> jax.Array:
    """Inverted dropout of `x`; the identity if `rngs` is None (inference) or `rate` is 0."""
    if rngs is None or rate == 0.0:
        return x
    keep = draw_kept(rngs.dropout(), 1.0 - rate, x.shape)
    return jnp.where(keep, x / (1.0 - rate), 0.0).astype(x.dtype)


class FeedForward(nnx.Module):
    """Linear, activation, dropout, linear: [..., width] -> [..., width].

    Args:
        width: channels of input and output.
        hidden: channels between the linear layers.
        activation: elementwise function.
        dropout_rate: dropout after the activation in training.
    """

    def __init__(self, width: int, hidden: int, *, activation=jax.nn.relu, dropout_rate=0.0, dtype):
        self.up = Linear(width, hidden, dtype=dtype)
        self.down = Linear(hidden, width, dtype=dtype)
        self.activation = activation
        self.dropout_rate = dropout_rate

    def __call__(self, x: jax.Array, *, rngs: nnx.Rngs | None = None) -> jax.Array:
        return self.down(dropout(self.activation(self.up(x)), self.dropout_rate, rngs))


class MLP(nnx.Module):
    """Linear layers with ReLU between: [..., widths[0]] -> [..., widths[-1]].

    In training, dropout follows every layer including the last, as in the released prediction heads
    (`models/net_utils.py`).
    """

    def __init__(self, widths: Sequence[int], *, dropout_rate: float = 0.0, dtype):
        self.layers = nnx.List([Linear(i, o, dtype=dtype) for i, o in zip(widths[:-1], widths[1:], strict=True)])
        self.dropout_rate = dropout_rate

    def __call__(self, x: jax.Array, *, rngs: nnx.Rngs | None = None) -> jax.Array:
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i < len(self.layers) - 1:
                x = jax.nn.relu(x)
            x = dropout(x, self.dropout_rate, rngs)
        return x
