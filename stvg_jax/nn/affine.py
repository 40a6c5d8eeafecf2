"""Matrix product and bias, with gradients that are fast on every backend."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def affine(x: jax.Array, kernel: jax.Array, bias: jax.Array | None) -> jax.Array:
    """x [..., i] @ kernel [i, o] + bias [o] -> [..., o], all of one dtype.

    Both gradients are written as matrix products over one axis of all rows. JAX's own gradient of the kernel contracts
    several axes, for which XLA copies both operands transposed. Its gradient of the bias is a sum over columns, which a
    CPU computes element by element, fused with the code that makes the operand: half of the time of a training step on
    small frames (`benchmarks/train_step.py`).
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
    """x [..., c] + bias [c]; the gradient of the bias is a product with ones (see `affine`)."""
    return x + bias


def _add_bias_forward(x, bias):
    return x + bias, None


def _add_bias_backward(_, cotangent):
    change = cotangent.reshape(-1, cotangent.shape[-1])
    return cotangent, jnp.einsum("n,no->o", jnp.ones(len(change), change.dtype), change)


add_bias.defvjp(_add_bias_forward, _add_bias_backward)
