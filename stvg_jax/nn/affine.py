"""A matrix product with a bias whose gradients run well on every backend."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def affine(x: jax.Array, kernel: jax.Array, bias: jax.Array | None) -> jax.Array:
    """x [..., i] @ kernel [i, o] + bias [o] -> [..., o], all of one dtype.

    Its gradients are written down as products over one axis of all rows. Left to JAX, that of the kernel contracts as
    many axes as `x` has, for which XLA copies both operands transposed, and that of the bias becomes a sum by columns,
    which on a CPU is computed element by element together with whatever made its operand: a half of the time of a
    training step on small pictures (`benchmarks/train_step.py`).
    """
    product = _product(x, kernel)
    return product if bias is None else add_bias(product, bias)


@jax.custom_vjp
def _product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jnp.einsum("...i,io->...o", x, kernel)


def _product_forward(x, kernel):
    return _product(x, kernel), (x, kernel)


def _product_backward(saved, cotangent):
    x, kernel = saved
    rows, change = x.reshape(-1, x.shape[-1]), cotangent.reshape(-1, cotangent.shape[-1])
    return jnp.einsum("...o,io->...i", cotangent, kernel), jnp.einsum("ni,no->io", rows, change)


_product.defvjp(_product_forward, _product_backward)


@jax.custom_vjp
def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """x [..., c] + bias [c], whose gradient is a product with ones (see `affine`)."""
    return x + bias


def _add_bias_forward(x, bias):
    return x + bias, None


def _add_bias_backward(_, cotangent):
    change = cotangent.reshape(-1, cotangent.shape[-1])
    return cotangent, jnp.einsum("n,no->o", jnp.ones(len(change), change.dtype), change)


add_bias.defvjp(_add_bias_forward, _add_bias_backward)
