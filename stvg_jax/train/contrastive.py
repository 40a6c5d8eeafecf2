"""Gradients of a loss that compares each row with the whole batch, in memory for a part of the rows.

Gradients are cached at the embeddings (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory
Limited Setup"). Each device works in four stages:

1. It embeds its rows, one part after another, and keeps only the embeddings.
2. It gathers the embeddings of all devices.
3. It compares its rows with all embeddings, one part after another. The results are the loss of its rows and the
   gradients of that loss for the parameters and for all embeddings. The latter are summed over devices by a
   reduce-scatter, which leaves each device the gradients of its own embeddings.
4. It embeds its rows again, one part after another and with the same dropout, to propagate these gradients to the
   parameters.

With a single part no row is embedded twice. All stages keep the embeddings of the whole batch, their gradients and the
gradient of the parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from stvg_jax.parallel.mesh import BATCH
from stvg_jax.train.gradients import accumulate_gradients, embed_in_parts
from stvg_jax.train.task import Batch, ContrastiveTask, WholeBatch, stage_keys

# The axes of the mesh that a batch is split over.
_AXES = BATCH[0]


def contrastive_gradients(
    task: ContrastiveTask,
    nest: Callable[[dict[str, jax.Array]], dict],
    trained: dict[str, jax.Array],
    rows: tuple[Batch, jax.Array, jax.Array | None],
    counts: Any,
    parts: int,
) -> tuple[dict[str, jax.Array], jax.Array, Any]:
    """Gradient, value and (terms, uses) of the loss of this device's rows; called under `jax.shard_map`.

    Args:
        task: the task.
        nest: function from trained parameters to all parameters, nested.
        trained: path -> whole array.
        rows: this device's rows: (batch, their numbers in the whole batch, their keys or None).
        counts: `task.count` of the whole batch.
        parts: number of parts in which the rows are computed.

    Raises:
        InputError: the rows cannot be divided into parts of equal size.
    """
    batch, numbers, keys = rows
    embed_keys, contrast_keys = stage_keys(keys)

    def embed(trained: dict[str, jax.Array], rows: tuple[Batch, jax.Array | None]) -> Any:
        batch, keys = rows
        return task.embed(nest(trained), task.prepare(batch)[0], keys)

    def contrast(differentiated: tuple[dict[str, jax.Array], Any], rows: Any) -> tuple[jax.Array, Any]:
        trained, embeddings = differentiated
        batch, numbers, keys = rows
        whole = WholeBatch(embeddings, all_targets, numbers)
        return task.contrast(nest(trained), *task.prepare(batch), whole, counts, keys)

    own, take_back = embed_in_parts(embed, trained, (batch, embed_keys), parts=parts)
    embeddings, all_targets = jax.tree.map(_gather_rows, (own, task.prepare(batch)[1]))
    (direct, cotangents), value, sums = accumulate_gradients(
        contrast, (trained, embeddings), (batch, numbers, contrast_keys), parts=parts
    )
    through = take_back(jax.tree.map(_sum_of_own_rows, cotangents))
    return jax.tree.map(jnp.add, direct, through), value, sums


def _gather_rows(array: jax.Array) -> jax.Array:
    """Rows of each device [b, ...] -> rows of all devices [W, ...]."""
    return jax.lax.all_gather(array, _AXES, tiled=True)


def _sum_of_own_rows(array: jax.Array) -> jax.Array:
    """Array of each device [W, ...] -> this device's rows [b, ...] of the sum over devices."""
    return jax.lax.psum_scatter(array, _AXES, tiled=True)
