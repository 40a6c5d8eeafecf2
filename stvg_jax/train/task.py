"""Tasks of the training step: losses that add up over rows, and losses that compare rows with the whole batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp

from stvg_jax.nn.keys import DropoutKeys

Batch: TypeAlias = Mapping[str, jax.Array]

# The total; its terms, any shape; its uses, use -> int32 scalar, real rows that used its parameters
# (`stvg_jax.train.optim`).
Losses: TypeAlias = tuple[jax.Array, tuple[dict[str, jax.Array], dict[str, jax.Array]]]


class AdditiveTask(Protocol):
    """A task whose loss for a batch is the sum of those for its rows (`stvg_jax.grounding.task.GroundingTask`)."""

    def count(self, batch: Batch) -> Any:
        """Divisors of the losses of a whole batch, a tree of scalars."""
        ...

    def prepare(self, batch: Batch) -> tuple[Any, Any]:
        """(inputs, targets) of some rows of a batch."""
        ...

    def loss(self, parameters: dict, inputs: Any, targets: Any, counts: Any, key: jax.Array | None) -> Losses:
        """Losses of some rows, all of which add up over the parts of a batch.

        Args:
            parameters: nested, the model's.
            inputs, targets: of `prepare`.
            counts: of `count`.
            key: of dropout, one per row [b]; None to train without.
        """
        ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class WholeBatch:
    """All rows of all devices and hosts, in the order of the batch, as `ContrastiveTask.contrast` sees them.

    Attributes:
        embeddings: of `ContrastiveTask.embed`, tree of [W, ...].
        targets: of `ContrastiveTask.prepare`, tree of [W, ...].
        rows: int32 [b], numbers of the rows in question among the W.
    """

    embeddings: Any
    targets: Any
    rows: jax.Array

    def own(self) -> Any:
        """Embeddings of the rows in question, tree of [b, ...]."""
        return jax.tree.map(lambda array: array[self.rows], self.embeddings)


@runtime_checkable
class ContrastiveTask(Protocol):
    """A task whose loss compares each row with all rows of the batch.

    Rows are embedded first. Embeddings and targets are then gathered from all devices, and every device compares its
    own rows with them (`stvg_jax.train.contrastive`). So a loss over the whole batch is written as a sum over rows:

    - InfoNCE: similarities of `whole.own()` to `whole.embeddings`, over a temperature from `parameters`; a softmax over
      the W rows, in which `whole.rows` are the labels. Each direction, video to text and text to video, takes a row's
      own side as the query, so no device needs the whole [W, W].
    - Soft labels: a distribution over the W rows instead of one of them, from `whole.targets` or from similarities. A
      loss that treats rows of others as constants applies `jax.lax.stop_gradient` to `whole.embeddings`; what
      `whole.own()` gives keeps its gradient.
    - Matching with hard negatives: for each row a number below W, drawn with the row's key from its similarities
      (`jax.vmap(jax.random.categorical)`), and that row of `whole.embeddings` and `whole.targets`. Gradients reach the
      chosen row on whatever device it is.
    - Losses that add up, such as captioning: likewise terms of `contrast`, from `inputs` or from `whole.own()`.

    Rows that only fill up the batch have embeddings too. `targets` must tell them, and `contrast` must leave them out,
    as queries and among the W.
    """

    def count(self, batch: Batch) -> Any:
        """Divisors of the losses of a whole batch, a tree of scalars."""
        ...

    def prepare(self, batch: Batch) -> tuple[Any, Any]:
        """(inputs, targets) of some rows of a batch. Inputs, such as pixels, stay on their device. Targets are
        gathered: what other rows must know of a row beside its embeddings, such as its tokens."""
        ...

    def embed(self, parameters: dict, inputs: Any, key: jax.Array | None) -> Any:
        """Tree of floating-point arrays [b, ...]: of each row, all that other rows need and that has a gradient.

        Computed once for the whole batch and, in several parts, again for the gradient; a row must not depend on the
        rows beside it. Gradients are summed over rows and devices in the dtype of the embeddings.

        Args:
            parameters: nested, the model's.
            inputs: of `prepare`.
            key: of dropout, one per row [b]; None to train without.
        """
        ...

    def contrast(
        self, parameters: dict, inputs: Any, targets: Any, whole: WholeBatch, counts: Any, key: jax.Array | None
    ) -> Losses:
        """Losses of some rows, all of which add up over the parts of a batch.

        Args:
            parameters: nested, the model's.
            inputs, targets: of `prepare`, of these rows.
            whole: the batch that they are compared with.
            counts: of `count`.
            key: of dropout and of draws, one per row [b], others than those of `embed`; None to train without.
        """
        ...


Task: TypeAlias = AdditiveTask | ContrastiveTask


def stage_keys(key: jax.Array | None) -> tuple[jax.Array | None, jax.Array | None]:
    """Keys for `embed` and for `contrast`, from those of the rows."""
    if key is None:
        return None, None
    keys = DropoutKeys(key)
    return keys.dropout(), keys.dropout()


def whole_loss(task: Task, parameters: dict, batch: Batch, key: jax.Array | None) -> Losses:
    """Losses of a whole batch, computed at once on one device; `key`: one per row."""
    counts, (inputs, targets) = task.count(batch), task.prepare(batch)
    if not isinstance(task, ContrastiveTask):
        return task.loss(parameters, inputs, targets, counts, key)
    first, second = stage_keys(key)
    rows = jnp.arange(len(next(iter(batch.values()))), dtype=jnp.int32)
    whole = WholeBatch(task.embed(parameters, inputs, first), targets, rows)
    return task.contrast(parameters, inputs, targets, whole, counts, second)
