"""Gradients of a loss that compares each row with all rows of all devices, in memory for a part of them.

Gradients are cached at the embeddings (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory
Limited Setup"), in four stages on each device:

1. Its rows are embedded, one part after the other. Only embeddings are kept.
2. The embeddings of all devices are gathered.
3. Its rows are compared with all of them, one part after the other. That gives the loss of its rows, and gradients of
   that loss for the parameters and for all embeddings. The latter are summed over devices by a reduce-scatter, which
   leaves each device with those of its own rows.
4. Its rows are embedded again, one part after the other and with the same dropout, to take these gradients on to the
   parameters.

With a single part nothing is embedded twice. What all stages hold at once is the embeddings of the whole batch and
their gradients, and that of the parameters.
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
    """Gradient, value and (terms, uses) of the loss of this device's rows; runs under `jax.shard_map`.

    Args:
        task: what is trained.
        nest: trained parameters -> all parameters, nested.
        trained: path -> array, whole.
        rows: (batch, numbers of its rows in the batch of all devices, keys or None), of this device.
        counts: of the batch of all devices.
        parts: in which the rows are computed one after another.

    Raises:
        InputError: if the rows cannot be divided into parts.
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
    """[b, ...] of each device -> [W, ...] of all."""
    return jax.lax.all_gather(array, _AXES, tiled=True)


def _sum_of_own_rows(array: jax.Array) -> jax.Array:
    """[W, ...] of each device -> [b, ...], this device's rows of the sum over all."""
    return jax.lax.psum_scatter(array, _AXES, tiled=True)
