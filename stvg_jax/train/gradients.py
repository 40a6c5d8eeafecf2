"""Gradients of a batch that does not fit into memory at once."""

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
    """Gradient, value and metrics of a loss, computed over one part of the batch after the other.

    Args:
        loss: (parameters, rows) -> (scalar, metrics). It must be additive: its values for the parts of a batch
            add up to that for the whole, so a mean divides by counts of the whole batch. So must the metrics, any
            tree of arrays.
        parameters: any tree.
        batch: tree of arrays [b, ...].
        parts: how many; memory for activations shrinks by this factor.

    Returns:
        (gradient, value, metrics) of the whole batch.

    Raises:
        InputError: if the rows cannot be divided so.
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
    """Embeddings of rows, computed for one part of the batch after the other, and the way back.

    Args:
        embed: (parameters, rows) -> embeddings, tree of floating-point arrays [b, ...]. A row's must not depend on the
            rows beside it, nor differ when they are computed again.
        parameters: any tree.
        batch: tree of arrays [b, ...].
        parts: how many. In more than one, only embeddings are kept, and the way back computes them again, part by part.

    Returns:
        (embeddings, function: gradient of the embeddings -> gradient of the parameters).

    Raises:
        InputError: if the rows cannot be divided so.
    """
    if parts == 1:
        embeddings, take_back = jax.vjp(lambda parameters: embed(parameters, batch), parameters)
        return embeddings, lambda gradients: take_back(gradients)[0]

    def take_back_in_parts(gradients: E) -> P:
        def product(parameters: P, rows: Any) -> tuple[jax.Array, None]:
            """A scalar whose gradient for the embeddings is the given one."""
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
    """[b, ...] -> [parts, b / parts, ...]. Part i takes every parts-th row from i on, so that rows which are spread
    over devices in consecutive runs stay where they are."""
    rows = len(array)
    if rows % parts:
        raise InputError(f"a batch of {rows} rows cannot be divided into {parts} parts of equal size")
    return array.reshape(rows // parts, parts, *array.shape[1:]).swapaxes(0, 1)


def _join_rows(array: jax.Array) -> jax.Array:
    """The inverse of `_split_rows`."""
    return array.swapaxes(0, 1).reshape(-1, *array.shape[2:])
