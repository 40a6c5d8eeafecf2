"""Gradients of batches that do not fit into memory at once."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from stvg_jax.core.errors import InputError

E = TypeVar("E")
P = TypeVar("P")

Loss = Callable[[Any, Any], tuple[jax.Array, Any]]


def accumulate_gradients(loss: Loss, parameters: P, batch: Any, *, parts: int = 1) -> tuple[P, jax.Array, Any]:
    """Gradient, value and metrics of a loss, computed for one part of the batch after another.

    Args:
        loss: (parameters, rows) -> (scalar, metrics, a tree of arrays). Both must be additive: their values for the
            parts of a batch add up to those of the whole batch, so a mean divides by counts of the whole batch.
        parameters: tree of arrays.
        batch: tree of arrays [b, ...].
        parts: number of parts; the memory for activations shrinks by this factor.

    Returns:
        (gradient, value, metrics) of the whole batch.

    Raises:
        InputError: the rows cannot be divided into parts of equal size.
    """
    gradient = jax.value_and_grad(loss, has_aux=True)

    def of_rows(rows: Any) -> tuple[P, jax.Array, Any]:
        (value, metrics), gradients = gradient(parameters, rows)
        return gradients, value, metrics

    if parts == 1:
        return of_rows(batch)
    split = _split(batch, parts)
    shapes = jax.eval_shape(lambda: jax.tree.map(lambda array: array[0], split))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(of_rows, shapes))
    return jax.lax.scan(lambda sums, part: (jax.tree.map(jnp.add, sums, of_rows(part)), None), zeros, split)[0]


def embed_in_parts(
    embed: Callable[[P, Any], E], parameters: P, batch: Any, *, parts: int = 1
) -> tuple[E, Callable[[E], P]]:
    """Embeddings of rows, computed for one part of the batch after another, and their backward pass.

    Args:
        embed: (parameters, rows) -> embeddings, a tree of floating-point arrays [b, ...]. A row's embedding must not
            depend on other rows, and must be the same when it is computed again.
        parameters: tree of arrays.
        batch: tree of arrays [b, ...].
        parts: number of parts. With more than one, only embeddings are kept, and the backward pass computes them again.

    Returns:
        (embeddings, function from their gradient to the gradient of the parameters).

    Raises:
        InputError: the rows cannot be divided into parts of equal size.
    """
    if parts == 1:
        embeddings, take_back = jax.vjp(lambda parameters: embed(parameters, batch), parameters)
        return embeddings, lambda gradients: take_back(gradients)[0]

    def take_back_in_parts(gradients: E) -> P:
        def product(parameters: P, rows: Any) -> tuple[jax.Array, None]:
            """Scalar whose gradient for the embeddings is the given one."""
            batch, gradients = rows
            products = jax.tree.map(jnp.vdot, embed(parameters, batch), gradients)
            return functools.reduce(operator.add, jax.tree.leaves(products)), None

        return accumulate_gradients(product, parameters, (batch, gradients), parts=parts)[0]

    embeddings = jax.lax.map(lambda rows: embed(parameters, rows), _split(batch, parts))
    return jax.tree.map(_join_rows, embeddings), take_back_in_parts


def _split(batch: Any, parts: int) -> Any:
    """Tree of [b, ...] -> tree of [parts, b / parts, ...]."""
    return jax.tree.map(lambda array: _split_rows(array, parts), batch)


def _split_rows(array: jax.Array, parts: int) -> jax.Array:
    """[b, ...] -> [parts, b / parts, ...]. Part i has rows i, i + parts, i + 2 * parts and so on: rows that are split
    over devices in consecutive runs stay on their devices."""
    rows = len(array)
    if rows % parts:
        raise InputError(f"a batch of {rows} rows cannot be divided into {parts} equal parts; change one of them")
    return array.reshape(rows // parts, parts, *array.shape[1:]).swapaxes(0, 1)


def _join_rows(array: jax.Array) -> jax.Array:
    """The inverse of `_split_rows`."""
    return array.swapaxes(0, 1).reshape(-1, *array.shape[2:])
