"""STGT's training task: losses of pairs add up, whatever fills up the batch."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.backbones.vit import ViTConfig
from stvg_jax.core.tree import unflatten
from stvg_jax.nn.declare import PureModule, initialize
from stvg_jax.retrieval.clip import RetrievalClip
from stvg_jax.retrieval.family import batch_shapes
from stvg_jax.retrieval.graph import GraphConfig
from stvg_jax.retrieval.losses import STGTLossConfig
from stvg_jax.retrieval.qformer import QFormerConfig
from stvg_jax.retrieval.stgt import STGT, STGTConfig
from stvg_jax.retrieval.task import RetrievalTask
from stvg_jax.train.task import ContrastiveTask, WholeBatch, stage_keys, whole_loss

# All parts of the model are compiled several times, which takes half a minute.
pytestmark = pytest.mark.slow

CONFIG = STGTConfig(
    vit=ViTConfig(image=28, width=16, blocks=1, heads=2, hidden=16),
    graph=GraphConfig(heads=2),
    qformer=QFormerConfig(vocab_size=30, width=16, layers=2, heads=2, hidden=16, queries=2),
    embedding=8,
    max_tokens=6,
)


@pytest.fixture(scope="module")
def case():
    module = PureModule(STGT(CONFIG, dtype=jnp.float32))
    rng, clip = np.random.default_rng(0), RetrievalClip(frames=2, resolution=28)
    shapes = batch_shapes({}, CONFIG, clip, rows=5, frames=None, width=None, tokens=6)
    lengths = np.array([3, 6, 4, 5, 1])
    batch = {
        "frames": rng.integers(0, 256, shapes["frames"].shape, np.uint8),
        "text_ids": rng.integers(4, 29, shapes["text_ids"].shape).astype(np.int32),
        "text_valid": np.arange(6) < lengths[:, None],
        "sample": np.array([7, 3, 8, 1, -1], np.int32),
    }
    assert {name: (array.shape, array.dtype) for name, array in batch.items()} == {
        name: (shape.shape, shape.dtype) for name, shape in shapes.items()
    }
    arrays = {name: jnp.asarray(array) for name, array in batch.items()}
    return RetrievalTask(module), initialize(unflatten(module.declarations), 0), arrays


def test_losses_of_parts_add_up_to_those_of_the_batch(case):
    task, parameters, batch = case
    assert isinstance(task, ContrastiveTask)
    keys = jax.random.split(jax.random.key(1), 5)
    total, (terms, uses) = jax.jit(lambda p: whole_loss(task, p, batch, keys))(parameters)
    assert uses == {} and set(terms) == {"contrastive", "matching", "caption"}
    np.testing.assert_allclose(total, sum(terms.values()), rtol=1e-6)
    embed_keys, contrast_keys = stage_keys(keys)

    @jax.jit
    def in_parts(parameters):
        inputs, targets = task.prepare(batch)
        embeddings = task.embed(parameters, inputs, embed_keys)
        found = []
        for rows in (jnp.arange(2), jnp.arange(2, 5)):
            whole = WholeBatch(embeddings, targets, rows)
            some = jax.tree.map(lambda array, rows=rows: array[rows], (inputs, targets))
            found.append(task.contrast(parameters, *some, whole, task.count(batch), contrast_keys[rows])[1][0])
        return jax.tree.map(jnp.add, *found)

    for name, value in in_parts(parameters).items():
        np.testing.assert_allclose(value, terms[name], rtol=2e-5, err_msg=name)


def test_rows_that_fill_up_the_batch_and_weights(case):
    task, parameters, batch = case
    weighted = RetrievalTask(task.module, STGTLossConfig(contrastive=2.0, matching=0.0, caption=0.5))

    @jax.jit
    def both(parameters):
        filled = whole_loss(weighted, parameters, batch, None)
        return filled, whole_loss(weighted, parameters, {name: array[:4] for name, array in batch.items()}, None)

    (total, (terms, _)), (_, (alone, _)) = both(parameters)
    np.testing.assert_allclose(total, 2 * terms["contrastive"] + 0.5 * terms["caption"], rtol=1e-6)
    for name in ("contrastive", "caption"):
        np.testing.assert_allclose(terms[name], alone[name], rtol=2e-5)
