"""Training on pairs: a batch in parts, rows that fill it up, and that the model learns which caption is whose."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from stvg_jax.backbones.bert import BertConfig
from stvg_jax.backbones.timesformer import TimeSformerConfig
from stvg_jax.backbones.vit import ViTConfig
from stvg_jax.core.pixels import normalize_as_clip
from stvg_jax.core.tree import unflatten
from stvg_jax.nn.declare import PureModule, initialize
from stvg_jax.retrieval.alpro import ALPRO, ALPROConfig
from stvg_jax.retrieval.alpro_losses import ALPROLossConfig
from stvg_jax.retrieval.graph import GraphConfig
from stvg_jax.retrieval.losses import STGTLossConfig
from stvg_jax.retrieval.qformer import QFormerConfig
from stvg_jax.retrieval.stgt import STGT, STGTConfig
from stvg_jax.retrieval.task import RetrievalTask
from stvg_jax.train.task import WholeBatch, stage_keys, whole_loss

TERMS = {"stgt": {"contrastive", "matching", "caption"}, "alpro": {"contrastive", "matching"}}


@functools.cache
def task(name: str) -> RetrievalTask:
    """A task of a tiny model, of frames of 32 x 32 pixels."""
    if name == "stgt":
        qformer = QFormerConfig(40, 16, 2, 2, 32, 12, 3, dropout_rate=0.1)
        config = STGTConfig(ViTConfig(32, 8, 24, 1, 2, 48), GraphConfig(heads=2), qformer, 8, 10)
        return RetrievalTask(PureModule(STGT(config)), STGTLossConfig())
    config = ALPROConfig(TimeSformerConfig(32, 16, 4, 16, 1, 2, 32), BertConfig(40, 16, 2, 2, 32, 12), 1, 8, 10)
    return RetrievalTask(PureModule(ALPRO(config)), ALPROLossConfig())


def batch(rows: int = 6, filling: int = 0) -> dict[str, np.ndarray]:
    """Pairs whose videos differ in colour and whose captions differ in words."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (rows, 1, 1, 1, 3))
    noise = rng.integers(0, 20, (rows, 4, 32, 32, 3))
    lengths = rng.integers(4, 11, rows)
    sample = np.arange(rows, dtype=np.int32)
    sample[rows - filling :] = -1
    return {
        "frames": np.clip(colours + noise, 0, 255).astype(np.uint8),
        "text_ids": rng.integers(3, 39, (rows, 10)).astype(np.int32),
        "text_valid": np.arange(10) < lengths[:, None],
        "sample": sample,
    }


def parameters(name: str):
    return initialize(unflatten(task(name).module.declarations), seed=0)


def keys(rows: int) -> jax.Array:
    return jax.random.split(jax.random.key(1), rows)


def losses_in_parts(task: RetrievalTask, parameters, rows, keys, parts: int):
    """The loss of a batch as `stvg_jax.train.contrastive` computes it, on one device."""
    counts = task.count(rows)
    first, second = stage_keys(keys)
    inputs, targets = task.prepare(rows)
    embeddings = task.embed(parameters, inputs, first)
    numbers = jnp.arange(len(rows["sample"]))
    total, terms = 0.0, []
    for some in numbers.reshape(parts, -1):
        own = jax.tree.map(lambda array, some=some: array[some], (inputs, targets))
        part, (found, uses) = task.contrast(
            parameters, *own, WholeBatch(embeddings, targets, some), counts, second[some]
        )
        total += part
        terms.append(found)
        assert uses == {}
    return total, jax.tree.map(lambda *values: sum(values), *terms)


def filled(rows):
    """The rows, and others that only fill up their batch."""
    more = jax.tree.map(jnp.asarray, batch(9, filling=3))
    return {name: jnp.concatenate([rows[name], value[6:]]) for name, value in more.items()}


def more_keys() -> jax.Array:
    """Each row has its own key, so more rows change none of the draws."""
    return jnp.concatenate([keys(6), jax.random.split(jax.random.key(2), 3)])


def test_parts_and_rows_that_fill_up_change_no_loss():
    """Dropout and negatives are drawn by each row's own key."""
    step = jax.jit(functools.partial(losses_in_parts, task("alpro")), static_argnums=3)
    rows, start = jax.tree.map(jnp.asarray, batch()), parameters("alpro")
    loss, terms = step(start, rows, keys(6), 1)
    assert terms.keys() == TERMS["alpro"]
    np.testing.assert_allclose(sum(terms.values()), loss, rtol=1e-6)
    again, _ = step(start, filled(rows), more_keys(), 3)
    np.testing.assert_allclose(again, loss, rtol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", TERMS)
def test_parts_and_rows_that_fill_up_change_no_gradient(name):
    step = jax.jit(jax.value_and_grad(functools.partial(losses_in_parts, task(name)), has_aux=True), static_argnums=3)
    rows, start = jax.tree.map(jnp.asarray, batch()), parameters(name)
    (loss, terms), gradient = step(start, rows, keys(6), 1)
    assert terms.keys() == TERMS[name]
    norm = float(optax.tree.norm(gradient))
    assert 0.1 < norm < np.inf
    (again, _), gradient_again = step(start, filled(rows), more_keys(), 3)
    np.testing.assert_allclose(again, loss, rtol=2e-5)
    for a, b in zip(jax.tree.leaves(gradient_again), jax.tree.leaves(gradient), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5 * norm)


@pytest.mark.slow
@pytest.mark.parametrize("name", TERMS)
def test_a_model_learns_whose_caption_is_whose(name):
    the, rows = task(name), jax.tree.map(jnp.asarray, batch(4))
    optimizer = optax.adam(3e-3)

    @jax.jit
    def step(parameters, moments):
        value, gradient = jax.value_and_grad(lambda p: whole_loss(the, p, rows, None), has_aux=True)(parameters)
        updates, moments = optimizer.update(gradient, moments)
        return optax.apply_updates(parameters, updates), moments, value[1][0]

    now = parameters(name)
    moments, history = optimizer.init(now), []
    for _ in range(60):
        now, moments, terms = step(now, moments)
        history.append(terms)
    for term in TERMS[name] - {"caption"}:
        assert history[-1][term] < 0.7 * history[0][term], (term, history[0][term], history[-1][term])

    def scores(model):
        inputs, texts = the.prepare(rows)
        encoded = the.embed(now, inputs, None)
        assert texts.real.all()
        return model.similarity(encoded.videos, encoded.texts)

    similarity = the.module.apply(now, scores)
    assert np.argmax(similarity, axis=1).tolist() == [0, 1, 2, 3]


@pytest.mark.slow
def test_features_that_are_kept_give_the_losses_of_the_frames():
    """Of STGT's frozen ViT, rounded to float16; no edge of the graph flips here."""
    stgt, start, rows = task("stgt"), parameters("stgt"), jax.tree.map(jnp.asarray, batch())

    @jax.jit
    def features(parameters, frames):
        return stgt.module.apply(parameters, lambda model: model.video_features(normalize_as_clip(frames)))

    kept = {name: value for name, value in rows.items() if name != "frames"}
    kept["features"] = features(start, rows["frames"]).astype(jnp.float16)
    step = jax.jit(functools.partial(losses_in_parts, stgt), static_argnums=3)
    of_frames, of_features = (step(start, inputs, keys(6), 1) for inputs in (rows, kept))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=2e-3, atol=2e-3), of_features, of_frames)
