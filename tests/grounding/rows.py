"""Rows of a training batch with random videos and tubes, and what a task makes of them, alone and in a padded batch."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax

from stvg_jax.grounding.targets import GroundingTargets, TargetCounts
from stvg_jax.grounding.task import GroundingTask
from stvg_jax.grounding.types import GroundingBatch
from tests.grounding import batches

# Sizes of the attribute vocabularies.
WORDS = (3, 4)
# Token ids are below this.
_VOCABULARY = 64


def make_rows(t: int, h: int, w: int, b: int = 2, seed: int = 0) -> tuple[GroundingBatch, GroundingTargets]:
    """Rows of which nothing is padded; the tube leaves out a frame at both ends."""
    rng = np.random.default_rng(seed)
    inside = np.zeros((b, t), bool)
    inside[:, 1:-1] = True
    boxes = np.concatenate([rng.uniform(0.3, 0.7, (b, t, 2)), rng.uniform(0.1, 0.5, (b, t, 2))], -1).astype(np.float32)
    frames = rng.standard_normal((b, t, h, w, 3)).astype(np.float32)
    labels = [np.eye(n, dtype=np.float32)[rng.integers(0, n, b)] for n in WORDS]
    texts = rng.integers(0, _VOCABULARY, (b, 3 + seed)).astype(np.int32)
    batch = GroundingBatch(frames=frames, text_ids=texts)
    return batch, GroundingTargets(inside, boxes, *labels)


def padded(rows, t: int, h: int, w: int) -> tuple[GroundingBatch, GroundingTargets]:
    """Single rows in one bucket, and a row that only fills it up; boxes outside the tubes are not even finite."""
    n = len(rows)
    inside, boxes = np.zeros((n + 1, t), bool), np.full((n + 1, t, 4), np.nan, np.float32)
    labels = [np.ones((n + 1, words), np.float32) for words in WORDS]
    for i, (_, targets) in enumerate(rows):
        inside[i, : targets.in_tube.shape[1]] = targets.in_tube[0]
        boxes[i][inside[i]] = targets.boxes_cxcywh[0][targets.in_tube[0]]
        labels[0][i], labels[1][i] = targets.appearance_labels[0], targets.motion_labels[0]
    inputs = [batch for batch, _ in rows]
    words = max(batch.text_ids.shape[1] for batch in inputs) + 1
    batch = batches.with_empty_row(batches.padded([*inputs, inputs[0]], t, h, w, words), n)
    valid = {"frames_valid": batch.frames_valid, "rows_valid": np.arange(n + 1) < n}
    return batch, GroundingTargets(inside, boxes, *labels, **valid)


def _without_first(batch: GroundingBatch, targets: GroundingTargets) -> tuple[GroundingBatch, GroundingTargets]:
    """A padded batch in which the first row, too, only fills it up."""
    others = np.arange(len(targets.in_tube)) > 0
    batch = batches.with_empty_row(batch, 0)
    in_tube, rows_valid = targets.in_tube & others[:, None], targets.rows_valid & others
    return batch, dataclasses.replace(targets, in_tube=in_tube, frames_valid=batch.frames_valid, rows_valid=rows_valid)


def assert_padding_and_parts_change_nothing(
    task: GroundingTask, parameters: dict, terms: set[str], *, each_alone: bool = False
) -> None:
    """Losses and gradients of two videos of other sizes in one padded batch are the sums of those of the first alone
    and of the second, alone if `each_alone`, else in a batch of the same shape, which needs no program of its own."""
    rows = [make_rows(5, 40, 70, b=1, seed=1), make_rows(9, 64, 40, b=1, seed=2)]
    counts = TargetCounts(videos=jnp.float32(2), boxes=jnp.float32(10))
    bucket = padded(rows, t=10, h=72, w=80)
    assert TargetCounts.of(bucket[1]) == counts
    run = jax.jit(jax.value_and_grad(task.loss, has_aux=True))
    together = jax.device_get(run(parameters, *bucket, counts))
    parts = [rows[0], rows[1] if each_alone else _without_first(*bucket)]
    alone = [jax.device_get(run(parameters, *part, counts)) for part in parts]
    assert set(together[0][1][0]) == terms
    summed = jax.tree.map(lambda *parts: sum(parts), *alone)
    for whole, parts in zip(jax.tree.leaves(together), jax.tree.leaves(summed), strict=True):
        np.testing.assert_allclose(whole, parts, atol=2e-5, rtol=1e-4)


def learn(task: GroundingTask, parameters: dict, batch: GroundingBatch, targets: GroundingTargets, steps: int):
    """Trains on one batch: (loss, terms) before every step, and the gradients of the last."""
    optimizer = optax.adam(3e-3)

    @jax.jit
    def step(parameters, state, batch, targets):
        loss, gradients = jax.value_and_grad(task.loss, has_aux=True)(parameters, batch, targets)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(parameters, updates), state, loss, gradients

    state, losses = optimizer.init(parameters), []
    for _ in range(steps):
        parameters, state, (loss, (terms, _)), gradients = step(parameters, state, batch, targets)
        losses.append((loss, terms))
    return losses, gradients
