"""A loss over the whole batch: on one device, several, several hosts, in parts, and as written plainly."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh

from stvg_jax.core.errors import InputError
from stvg_jax.core.tree import unflatten
from stvg_jax.nn.keys import DropoutKeys
from stvg_jax.nn.layers import dropout
from stvg_jax.parallel.mesh import make_mesh, to_mesh
from stvg_jax.train import inspection
from stvg_jax.train import step as steps
from stvg_jax.train.optim import OptimConfig, make_optimizer
from stvg_jax.train.sharding import ShardingRules
from stvg_jax.train.state import TrainState, place_state, state_shapes, state_shardings
from stvg_jax.train.task import whole_loss
from tests.train.spread import on_eight_devices, rows_of_host
from tests.train.test_step import assert_close

BATCH = 32
PARTS = (1, 2, 4)
NEVER = -1e9


@dataclasses.dataclass(frozen=True)
class Retrieval:
    """Two small towers with dropout; all that a family's losses may ask of the other rows.

    A contrastive loss with a learned temperature and soft labels, matching with negatives that are drawn from the whole
    batch, and a term that adds up over rows.
    """

    def count(self, batch):
        return (batch["sample"] >= 0).sum()

    def prepare(self, batch):
        return (batch["x"], batch["ids"]), {"ids": batch["ids"], "real": batch["sample"] >= 0}

    def embed(self, parameters, inputs, key):
        x, ids = inputs
        rngs = None if key is None else DropoutKeys(key)
        hidden = jnp.tanh(x @ parameters["video"]["kernel"] + parameters["video"]["bias"])
        states = dropout(hidden, 0.5, rngs).mean(1)
        words = parameters["text"]["table"][ids].mean(1)
        videos = (states @ parameters["video"]["out"]).reshape(-1, 3, 4)
        return {"states": states, "video": unit(videos), "text": unit(words @ parameters["text"]["out"])}

    def contrast(self, parameters, inputs, targets, whole, counts, key):
        own, others, constant = whole.own(), whole.embeddings, jax.lax.stop_gradient(whole.embeddings)
        to_text = similarity(own["video"], others["text"]) / parameters["temperature"]
        to_video = similarity(others["video"], own["text"]).T / parameters["temperature"]
        real, all_real = targets["real"], whole.targets["real"]
        labels = jax.nn.softmax(jnp.where(all_real, 5 * own["text"] @ constant["text"].T, NEVER))
        each = soft_cross_entropy(to_text, labels, all_real) + soft_cross_entropy(to_video, labels, all_real)
        rivals = all_real & (jnp.arange(len(all_real)) != whole.rows[:, None])
        videos, texts = (draw(logits, rivals, key, i) for i, logits in enumerate((to_video, to_text)))
        matches = [
            match(parameters, own["states"], targets["ids"], True),
            match(parameters, others["states"][videos], targets["ids"], False),
            match(parameters, own["states"], whole.targets["ids"][texts], False),
        ]
        rivalled = real & rivals.any(1)
        error = ((own["states"] @ parameters["caption"] - inputs[0].mean(1)) ** 2).sum(1)
        rows = {"contrast": each * real, "match": sum(matches) * rivalled, "caption": error * real}
        terms = {name: value.sum() / counts for name, value in rows.items()}
        uses = {"match": rivalled.sum(dtype=jnp.int32)}
        return sum(terms.values()), (terms, uses)


def unit(x):
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def similarity(videos, texts):
    """[v, 3, e], [t, e] -> [v, t]."""
    return jnp.einsum("vqe,te->vtq", videos, texts).max(-1)


def soft_cross_entropy(logits, labels, valid):
    return -(labels * jax.nn.log_softmax(jnp.where(valid, logits, NEVER))).sum(1)


def draw(logits, allowed, key, number):
    """A column of each row; without a key the likeliest."""
    logits = jnp.where(allowed, logits, NEVER)
    if key is None:
        return logits.argmax(1)
    return jax.vmap(lambda key, row: jax.random.categorical(jax.random.fold_in(key, 7 + number), row))(key, logits)


def match(parameters, states, ids, same: bool):
    """Loss of each pair of a video and a text."""
    words = parameters["text"]["table"][ids].mean(1)
    logits = ((states @ parameters["match"]["kernel"]) * words).sum(1) + parameters["match"]["bias"]
    return jax.nn.softplus(-logits if same else logits)


def retrieval_parameters() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = {"video/kernel": (6, 16), "video/bias": (16,), "video/out": (16, 12), "text/table": (10, 8)}
    shapes |= {"text/out": (8, 4), "match/kernel": (16, 8), "match/bias": (), "caption": (16, 6)}
    drawn = {path: np.asarray(rng.standard_normal(shape), np.float32) for path, shape in shapes.items()}
    return drawn | {"temperature": np.array(0.3, np.float32)}


def retrieval_batch() -> dict[str, np.ndarray]:
    """Rows that fill up the batch are spread unequally over devices and parts."""
    rng = np.random.default_rng(1)
    sample = np.where(np.isin(np.arange(BATCH), [3, 8, 9, 10, 11, 29, 30, 31]), -1, np.arange(BATCH))
    return {
        # So many frames that their activations take more memory than all else.
        "x": rng.standard_normal((BATCH, 64, 6)).astype(np.float32),
        "ids": rng.integers(0, 10, (BATCH, 5)).astype(np.int32),
        "sample": sample.astype(np.int32),
    }


def rates(step):
    return {"base": 0.02 / (1 + jnp.asarray(step)), "slow": 0.001}


GROUPS = dict.fromkeys(retrieval_parameters(), "base") | {"video/bias": "frozen", "temperature": "slow"}
CONFIG = OptimConfig(max_gradient_norm=1.0, ema_decay=0.5)
OPTIMIZER = make_optimizer(CONFIG, GROUPS, rates, {"match/kernel": "match", "match/bias": "match"})
SHAPES = state_shapes(retrieval_parameters(), GROUPS, OPTIMIZER)
RULES = ShardingRules((("video/bias", 0),), smallest=64)


@pytest.fixture(scope="module", autouse=True)
def _compile_quickly():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "compiler_options", lambda: {"xla_backend_optimization_level": 0})
        yield


def start(mesh: Mesh) -> TrainState:
    return place_state(retrieval_parameters(), GROUPS, OPTIMIZER, state_shardings(SHAPES, mesh, RULES))


def make_step(mesh: Mesh, parts: int, seed: int | None = 0) -> steps.TrainStep:
    shardings = state_shardings(SHAPES, mesh, RULES)
    return steps.make_train_step(Retrieval(), OPTIMIZER, rates, CONFIG, mesh, shardings, seed=seed, parts=parts)


@functools.cache
def compiled(parts: int) -> jax.stages.Compiled:
    """The step on one device."""
    batch = {name: jax.ShapeDtypeStruct(value.shape, value.dtype) for name, value in retrieval_batch().items()}
    return make_step(make_mesh(), parts).lower(SHAPES, batch).compile()


def train(state: TrainState, step: Callable, batch) -> tuple[TrainState, list[dict]]:
    metrics = []
    for _ in range(3):
        state, now = step(state, batch)
        metrics.append(jax.device_get(now))
    return state, metrics


@functools.cache
def alone(parts: int = 1) -> tuple[TrainState, list[dict]]:
    mesh = make_mesh()
    return train(start(mesh), compiled(parts), to_mesh(retrieval_batch(), mesh))


def plain_loss(trained, frozen, batch, keys):
    """The same loss from matrices of all rows against all rows."""
    task, parameters = Retrieval(), unflatten(frozen | trained)
    embed_keys, draw_keys = (
        [None] * 2 if keys is None else (jax.vmap(jax.random.fold_in, (0, None))(keys, i) for i in (0, 1))
    )
    rows = task.embed(parameters, (batch["x"], batch["ids"]), embed_keys)
    real = batch["sample"] >= 0
    logits = similarity(rows["video"], rows["text"]) / parameters["temperature"]
    alike = 5 * rows["text"] @ jax.lax.stop_gradient(rows["text"]).T
    labels = jnp.where(real, jnp.exp(alike), 0)
    labels /= labels.sum(1, keepdims=True)
    weights = jnp.where(real, jnp.exp(logits), 0)
    back = jnp.where(real[:, None], jnp.exp(logits), 0)
    videos_to_texts = logits - jnp.log(weights.sum(1, keepdims=True))
    texts_to_videos = (logits - jnp.log(back.sum(0, keepdims=True))).T
    contrast = -(labels * (videos_to_texts + texts_to_videos)).sum(1)
    rivals = real & ~jnp.eye(len(real), dtype=bool)
    videos, texts = draw(logits.T, rivals, draw_keys, 0), draw(logits, rivals, draw_keys, 1)
    matches = match(parameters, rows["states"], batch["ids"], True)
    matches += match(parameters, rows["states"][videos], batch["ids"], False)
    matches += match(parameters, rows["states"], batch["ids"][texts], False)
    caption = ((rows["states"] @ parameters["caption"] - batch["x"].mean(1)) ** 2).sum(1)
    return ((contrast + matches + caption) * real).sum() / real.sum()


def test_three_steps_are_those_of_the_loss_written_plainly():
    state, metrics = alone()
    parameters = {path: jnp.asarray(value) for path, value in retrieval_parameters().items()}
    frozen = {"video/bias": parameters.pop("video/bias")}
    moments = OPTIMIZER.init(parameters)
    batch = jax.tree.map(jnp.asarray, retrieval_batch())
    key = jax.random.key(0)

    def step(parameters, moments, number):
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(key, number), jnp.arange(BATCH))
        loss, gradients = jax.value_and_grad(plain_loss)(parameters, frozen, batch, keys)
        updates, moments = OPTIMIZER.update(gradients, moments, parameters, used={"match": True})
        return optax.apply_updates(parameters, updates), moments, loss, optax.tree.norm(gradients)

    step = jax.jit(step, compiler_options=steps.compiler_options())
    for number, now in enumerate(metrics):
        parameters, moments, loss, norm = step(parameters, moments, number)
        np.testing.assert_allclose(now["loss"], loss, rtol=1e-5)
        np.testing.assert_allclose(now["gradient_norm"], norm, rtol=1e-5)
    assert_close(state.trained, parameters)
    assert abs(float(parameters["temperature"]) - 0.3) > 1e-3, "the temperature is learned"
    assert set(metrics[0]) == {"contrast", "match", "caption", "loss", "gradient_norm", "rate/base", "rate/slow"}


def test_the_loss_of_a_whole_batch_at_once():
    """The function by which the arithmetic of a step is counted."""
    parameters = {path: jnp.asarray(value) for path, value in retrieval_parameters().items()}
    found = jax.jit(lambda p, batch: whole_loss(Retrieval(), unflatten(p), batch, None))(parameters, retrieval_batch())
    loss, (terms, uses) = found
    np.testing.assert_allclose(loss, jax.jit(plain_loss)(parameters, {}, retrieval_batch(), None), rtol=1e-5)
    np.testing.assert_allclose(loss, sum(terms.values()), rtol=1e-6)
    assert uses == {"match": 24}
    batch = {name: jax.ShapeDtypeStruct(value.shape, value.dtype) for name, value in retrieval_batch().items()}
    flops = inspection.step_flops(Retrieval(), SHAPES, batch)
    assert 0 < flops.forward < flops.training == flops.computed


def test_parts_change_nothing():
    assert_close(alone(parts=4), alone())


def test_parts_save_memory():
    """Activations of all rows together are never kept, in neither pass."""
    temporary = {parts: compiled(parts).memory_analysis().temp_size_in_bytes for parts in (1, 4)}
    assert temporary[4] < 0.5 * temporary[1]


@pytest.mark.slow
def test_two_parts_change_nothing_and_save_memory():
    assert_close(alone(parts=2), alone())
    temporary = {parts: compiled(parts).memory_analysis().temp_size_in_bytes for parts in PARTS}
    assert temporary[4] < 0.7 * temporary[2] < 0.5 * temporary[1]


def on_mesh(mesh: Mesh, all_parts: tuple[int, ...] = PARTS) -> list[tuple[TrainState, list[dict]]]:
    batch = to_mesh(rows_of_host(retrieval_batch()), mesh)
    results = []
    for parts in all_parts:
        state = start(mesh)
        assert state.trained["video/kernel"].addressable_shards[0].data.shape == (6, 8)
        results.append(train(state, make_step(mesh, parts), batch))
    return results


def on_mesh_in_two_parts(mesh: Mesh) -> list[tuple[TrainState, list[dict]]]:
    return on_mesh(mesh, (2,))


@pytest.mark.parametrize("hosts", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_eight_devices_give_what_one_gives(hosts, tmp_path):
    """Parameters, moments, average and metrics after three steps with dropout, in two parts of two rows each."""
    expected = [alone()]
    assert_close(on_eight_devices(on_mesh_in_two_parts, hosts, tmp_path, like=expected), expected)


@pytest.mark.slow
@pytest.mark.parametrize("hosts", [1, 2])
def test_eight_devices_in_any_number_of_parts(hosts, tmp_path):
    expected = [alone()] * len(PARTS)
    assert_close(on_eight_devices(on_mesh, hosts, tmp_path, like=expected), expected)


def test_rows_that_fill_up_the_batch_count_nowhere():
    mesh = make_mesh()
    batch = retrieval_batch()
    filling = batch["sample"] < 0
    batch["x"][filling] = 100 * batch["x"][filling][::-1]
    batch["ids"][filling] = 9
    jax.tree.map(np.testing.assert_array_equal, train(start(mesh), compiled(4), to_mesh(batch, mesh)), alone(parts=4))


def test_a_lone_row_has_no_negative_to_match():
    mesh = make_mesh()
    batch = retrieval_batch()
    batch["sample"][1:] = -1
    state, metrics = compiled(4)(start(mesh), to_mesh(batch, mesh))
    before = retrieval_parameters()
    assert metrics["match"] == 0
    np.testing.assert_array_equal(state.trained["match/kernel"], before["match/kernel"])
    assert (np.asarray(state.trained["caption"]) != before["caption"]).all()


def test_rows_that_cannot_be_divided_into_parts():
    mesh = make_mesh()
    with pytest.raises(InputError, match="a batch of 32 rows cannot be divided into 3 equal parts"):
        make_step(mesh, 3, seed=None)(start(mesh), to_mesh(retrieval_batch(), mesh))
