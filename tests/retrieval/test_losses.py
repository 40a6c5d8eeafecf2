"""The losses of STGT against formulae of their own; `test_stgt.py` compares them with the released numbers."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from stvg_jax.retrieval import losses
from stvg_jax.retrieval.losses import Counts, Embeddings, PairTexts

TEMPERATURE = 0.2


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def log_softmax(logits):
    return np.log(softmax(logits))


@pytest.fixture(scope="module")
def pairs():
    """Five pairs that resemble each other, the last of which only fills up the batch."""
    rng = np.random.default_rng(0)
    videos, texts = rng.standard_normal((5, 3, 4)) + 1.0, rng.standard_normal((5, 4)) + 1.0
    unit = [(x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32) for x in (videos, texts)]
    return Embeddings(np.zeros((5, 1, 2), np.float32), *unit), np.arange(5) < 4


def cosines(whole):
    return np.einsum("vqe,te->vtq", whole.videos, whole.texts).max(-1)


def rows_of(whole, rows):
    return Embeddings(*(array[rows] for array in whole))


def expected_losses(whole, soft):
    """Of the four real pairs, of these alone."""
    whole = rows_of(whole, np.arange(4))
    targets, smoothing = np.eye(4), 0.1
    if soft:
        means = whole.videos.mean(1) / np.linalg.norm(whole.videos.mean(1), axis=-1, keepdims=True)
        alike = np.maximum(means @ means.T, 0) * np.maximum(whole.texts @ whole.texts.T, 0)
        targets, smoothing = softmax(5 * np.where(alike < 0.05, -100, alike)), 0.01
    targets = (1 - smoothing) * targets + smoothing / 4
    similar = cosines(whole) / TEMPERATURE
    return -sum((targets * log_softmax(logits)).sum(1) for logits in (similar, similar.T)) / 2


@pytest.mark.parametrize("soft", [True, False])
def test_contrastive_losses_in_parts(pairs, soft):
    whole, real = pairs
    run = jax.jit(functools.partial(losses.contrastive_losses, soft=soft))
    parts = [run(rows_of(whole, rows), whole, rows, real, TEMPERATURE) for rows in (np.array([2, 0]), np.array([3, 1]))]
    np.testing.assert_allclose(np.concatenate(parts), expected_losses(whole, soft)[[2, 0, 3, 1]], rtol=1e-5)


def test_negatives_are_other_real_pairs_by_their_similarity(pairs):
    whole, real = pairs
    rows = np.array([1, 3])

    @jax.jit
    def run(keys):
        compared = losses.contrastive_logits(rows_of(whole, rows), whole, TEMPERATURE)
        logits = losses.negative_logits(compared, rows, real)
        drawn = jax.vmap(lambda keys: losses.draw_negatives(logits, keys))(keys)
        return jax.tree.map(jax.nn.softmax, logits), drawn

    odds, drawn = run(jax.random.split(jax.random.key(0), (4000, 2)))
    similar = cosines(whole) / TEMPERATURE
    for ours, logits, numbers in ((odds.videos, similar.T, drawn.videos), (odds.texts, similar, drawn.texts)):
        allowed = np.where(real & (np.arange(5) != rows[:, None]), logits[rows], -np.inf)
        np.testing.assert_allclose(ours, softmax(allowed), atol=1e-6)
        for i in range(2):
            share = np.bincount(np.asarray(numbers)[:, i], minlength=5) / 4000
            np.testing.assert_allclose(share, ours[i], atol=0.04)


def test_only_own_pairs_have_a_gradient(pairs):
    whole, real = pairs
    rows = np.array([1, 3])

    @jax.jit
    def gradients(own, whole):
        return jax.grad(
            lambda own, whole: losses.contrastive_losses(own, whole, rows, real, TEMPERATURE, soft=True).sum(), (0, 1)
        )(own, whole)

    of_own, of_whole = gradients(rows_of(whole, rows), whole)
    assert all((np.asarray(gradient) == 0).all() for gradient in of_whole)
    assert np.abs(of_own.videos).max() > 1e-3 and np.abs(of_own.texts).max() > 1e-3


def test_captions_predict_every_token_but_the_first_and_padding():
    rng = np.random.default_rng(1)
    logits, ids = rng.standard_normal((2, 4, 7)).astype(np.float32), rng.integers(0, 7, (2, 4))
    valid = np.arange(4) < np.array([[4], [2]])
    sums, counts = jax.jit(losses.caption_losses)(logits, ids, valid)
    log_p = log_softmax(logits)
    targets = 0.9 * np.eye(7)[ids] + 0.1 / 7
    token = lambda row, at: -(targets[row, at + 1] * log_p[row, at]).sum()  # noqa: E731
    np.testing.assert_allclose(sums, [token(0, 0) + token(0, 1) + token(0, 2), token(1, 0)], rtol=1e-5)
    np.testing.assert_array_equal(counts, [3, 1])
    texts = PairTexts(ids, valid, np.array([False, True]))
    assert tuple(map(int, Counts.of(texts))) == (1, 1)
