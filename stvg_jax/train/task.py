"""Tasks of a training: losses that are sums over rows, and losses that compare rows with the whole batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp

from stvg_jax.nn.keys import DropoutKeys

Batch: TypeAlias = Mapping[str, jax.Array]

# (total, (its terms of any shape by name, number of real rows that used the parameters of a use, int32 scalar, by use
# (`stvg_jax.train.optim`))).
Losses: TypeAlias = tuple[jax.Array, tuple[dict[str, jax.Array], dict[str, jax.Array]]]


class AdditiveTask(Protocol):
    """A task whose loss of a batch is the sum of the losses of its rows."""

    def count(self, batch: Batch) -> Any:
        """Divisors of the losses of a whole batch, a tree of scalars."""
        ...

    def prepare(self, batch: Batch) -> tuple[Any, Any]:
        """(inputs, targets) of some rows of a batch."""
        ...

    def loss(self, parameters: dict, inputs: Any, targets: Any, counts: Any, key: jax.Array | None) -> Losses:
        """Losses of some rows; all of them add up over the parts of a batch.

        Args:
            parameters: parameters of the model, nested.
            inputs, targets: result of `prepare`.
            counts: result of `count`.
            key: dropout keys of the rows [b]; None to train without dropout.
        """
        ...


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class WholeBatch:
    """All W rows of the batch, on all devices and hosts, as given to `ContrastiveTask.contrast`.

    Attributes:
        embeddings: embeddings of all rows, tree of [W, ...].
        targets: targets of all rows, tree of [W, ...].
        rows: numbers among the W of the rows whose losses are computed, int32 [b].
    """

    embeddings: Any
    targets: Any
    rows: jax.Array

    def own(self) -> Any:
        """Embeddings of the rows whose losses are computed, tree of [b, ...]."""
        return jax.tree.map(lambda array: array[self.rows], self.embeddings)


@runtime_checkable
class ContrastiveTask(Protocol):
    """A task whose loss compares each row with all rows of the batch.

    Rows are embedded first. Embeddings and targets are then gathered from all devices, and every device compares its
    own rows with them (`stvg_jax.train.contrastive`). A loss of the whole batch is written as a sum over rows:

    - InfoNCE: similarities of `whole.own()` to `whole.embeddings`, divided by a temperature from `parameters`, and a
      softmax over the W rows with `whole.rows` as labels. In each direction, video to text and text to video, a row's
      own side is the query, so no device needs the whole [W, W] matrix.
    - Soft labels: a distribution over the W rows instead of one label, from `whole.targets` or from similarities. A
      loss that treats other rows as constants applies `jax.lax.stop_gradient` to `whole.embeddings`; `whole.own()`
      keeps its gradient.
    - Matching with hard negatives: for each row, the number of another one, drawn from its similarities with the row's
      key (`jax.vmap(jax.random.categorical)`), and that row of `whole.embeddings` and `whole.targets`. Its gradient
      reaches the device that embedded it.
    - Additive losses, such as captioning: further terms of `contrast`, from `inputs` or from `whole.own()`.

    Rows that only fill up the batch have embeddings too. `targets` must mark them, and `contrast` must leave them out,
    as queries and among the W rows.
    """

    def count(self, batch: Batch) -> Any:
        """Divisors of the losses of a whole batch, a tree of scalars."""
        ...

    def prepare(self, batch: Batch) -> tuple[Any, Any]:
        """(inputs, targets) of some rows of a batch. Inputs, such as pixels, stay on their device. Targets are
        gathered: everything besides embeddings that the losses of other rows need, such as tokens."""
        ...

    def embed(self, parameters: dict, inputs: Any, key: jax.Array | None) -> Any:
        """Embeddings: everything that the losses of other rows need and that has a gradient.

        With several parts, embeddings are computed again for the gradient. A row's embedding must not depend on other
        rows. Gradients are summed over rows and devices in the dtype of the embeddings.

        Args:
            parameters: parameters of the model, nested.
            inputs: inputs of `prepare`.
            key: dropout keys of the rows [b]; None to train without dropout.

        Returns:
            Tree of floating-point arrays [b, ...].
        """
        ...

    def contrast(
        self, parameters: dict, inputs: Any, targets: Any, whole: WholeBatch, counts: Any, key: jax.Array | None
    ) -> Losses:
        """Losses of some rows; all of them add up over the parts of a batch.

        Args:
            parameters: parameters of the model, nested.
            inputs, targets: result of `prepare` for these rows.
            whole: the whole batch.
            counts: result of `count`.
            key: keys of the rows [b] for dropout and draws, other than those of `embed`; None to train without dropout.
        """
        ...


Task: TypeAlias = AdditiveTask | ContrastiveTask


def stage_keys(key: jax.Array | None) -> tuple[jax.Array | None, jax.Array | None]:
    """Keys for `embed` and for `contrast` from the keys of the rows."""
    if key is None:
        return None, None
    keys = DropoutKeys(key)
    return keys.dropout(), keys.dropout()


def whole_loss(task: Task, parameters: dict, batch: Batch, key: jax.Array | None) -> Losses:
    """Losses of a whole batch, computed at once on one device; `key` has a key for each row."""
    counts, (inputs, targets) = task.count(batch), task.prepare(batch)
    if not isinstance(task, ContrastiveTask):
        return task.loss(parameters, inputs, targets, counts, key)
    first, second = stage_keys(key)
    rows = jnp.arange(len(next(iter(batch.values()))), dtype=jnp.int32)
    whole = WholeBatch(task.embed(parameters, inputs, first), targets, rows)
    return task.contrast(parameters, inputs, targets, whole, counts, second)
