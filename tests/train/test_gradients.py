"""A batch in parts gives the gradient of the whole."""

from __future__ import annotations

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.core.registry import get_family
from stvg_jax.core.tree import flatten, unflatten
from stvg_jax.grounding.task import GroundingTask
from stvg_jax.nn.keys import DropoutKeys
from stvg_jax.train.gradients import accumulate_gradients
from tests.tiny import apply, thin, tiny


def rows_loss(weights, rows):
    each = (rows["x"] @ weights - rows["y"]) ** 2
    return each.sum() / 8, {"each": each.sum()}


def rows(count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"x": rng.standard_normal((count, 3)).astype(np.float32), "y": np.arange(count, dtype=np.float32)}


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_parts_add_up(parts):
    weights = jnp.arange(3.0)
    whole = accumulate_gradients(rows_loss, weights, rows(8))
    np.testing.assert_allclose(whole[0], jax.grad(lambda w: rows_loss(w, rows(8))[0])(weights))
    split = jax.jit(functools.partial(accumulate_gradients, rows_loss, parts=parts))(weights, rows(8))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), split, whole)


def test_parts_must_be_equal():
    with pytest.raises(InputError, match="a batch of 8 rows cannot be divided into 3 equal parts"):
        accumulate_gradients(rows_loss, jnp.zeros(3), rows(8), parts=3)


def training_batch(lengths: list[int], t: int, words: tuple[int, int]) -> dict[str, np.ndarray]:
    """As the input pipeline makes it; a length of 0 makes a row that fills up the batch."""
    rng = np.random.default_rng(0)
    real = np.array(lengths)[:, None]
    b, h, w, l = len(lengths), 20, 32, 6
    in_tube = (np.arange(t) >= 1) & (np.arange(t) < real - 1)
    boxes = rng.uniform(0.2, 0.6, (b, t, 4)).astype(np.float32)
    return {
        "frames": rng.integers(0, 256, (b, t, h, w, 3)).astype(np.uint8),
        "frames_valid": np.arange(t) < real,
        "sizes": np.where(real > 0, [[h, w]], [[0, 0]]).astype(np.int32),
        "text_ids": rng.integers(4, 64, (b, l)).astype(np.int32),
        "text_valid": (np.arange(l) < rng.integers(3, l + 1, (b, 1))) & (real > 0),
        "in_tube": in_tube,
        "boxes_cxcywh": np.where(in_tube[..., None], boxes, 0),
        "appearance_labels": rng.integers(0, 2, (b, words[0])).astype(np.float32),
        "motion_labels": rng.integers(0, 2, (b, words[1])).astype(np.float32),
        "sample": np.where(np.array(lengths) > 0, np.arange(b), -1).astype(np.int32),
    }


def test_the_model_in_parts_equals_the_whole_batch():
    """Videos of different lengths with tubes of different lengths, and a row that fills up the batch.

    Gradients of the decoders and heads only: compiling those of the backbones takes long.
    """
    module, parameters = tiny(**thin())
    task = GroundingTask(module)
    batch = training_batch([6, 4, 5, 0], t=6, words=(15, 60))
    trained = {path: value for path, value in flatten(parameters).items() if re.match(r".*(decoder|head)/", path)}
    assert len(trained) > 30

    @functools.partial(jax.jit, static_argnames="parts")
    def run(trained, parameters, batch, parts):
        counts = task.count(batch)

        def loss(trained, rows):
            return task.loss(unflatten(flatten(parameters) | trained), *task.prepare(rows), counts)

        return accumulate_gradients(loss, trained, batch, parts=parts)

    whole, in_parts = (jax.device_get(run(trained, parameters, batch, parts)) for parts in (1, 2))
    largest = max(np.abs(value).max() for value in whole[0].values())
    for path, value in whole[0].items():
        assert np.isfinite(value).all(), path
        np.testing.assert_allclose(in_parts[0][path], value, rtol=1e-3, atol=1e-5 * largest, err_msg=path)
    np.testing.assert_allclose(in_parts[1], whole[1], rtol=1e-5)
    (terms, uses), (terms_in_parts, _) = whole[2], in_parts[2]
    assert not uses, "the model always uses all its parameters"
    for name, value in terms.items():
        np.testing.assert_allclose(terms_in_parts[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    "system", ["ta_stvg", *(pytest.param(name, marks=pytest.mark.slow) for name in ("cg_stvg", "stcat"))]
)
def test_a_row_has_dropout_of_its_own(system):
    """With a key for each row, a row's predictions do not depend on the rows beside it; another key changes them."""
    module, parameters = tiny(system=system, frozen_backbones=False, **thin(system))
    task = GroundingTask(module, get_family(system).losses())
    batch = training_batch([4, 4, 4], t=4, words=(15, 60))
    keys = jax.random.split(jax.random.key(0), 3)

    def boxes(m, batch, keys):
        inputs, targets = task.prepare(batch)
        return m.predict_to_train(inputs, targets.true_tube, rngs=DropoutKeys(keys)).boxes_cxcywh

    together = apply(module, parameters, boxes, batch, keys)
    for row in range(3):
        single = {name: value[row : row + 1] for name, value in batch.items()}
        alone = apply(module, parameters, boxes, single, keys[row : row + 1])
        np.testing.assert_allclose(together[:, row], alone[:, 0], atol=1e-5)
    swapped = apply(module, parameters, boxes, batch, keys[::-1])
    np.testing.assert_allclose(swapped[:, 1], together[:, 1], atol=1e-5)
    assert np.abs(swapped[:, 0] - together[:, 0]).max() > 1e-3
