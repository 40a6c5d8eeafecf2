"""Frames and places of target-aware queries: small cases worked out by hand."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.grounding.encoder import EncodedVideo
from stvg_jax.grounding.query_generation import QueryTokens
from stvg_jax.grounding.ta_stvg import TASTVGConfig
from stvg_jax.grounding.target_queries import choose_frames, mean_over_chosen, pool_query
from tests.tiny import apply, tiny

SCORES = jnp.array([[0.2, 0.5, 0.75], [0.1, 0.2, 0.9], [0.6, 0.1, 0.7]])
VALID = jnp.array([[True, True, True], [True, True, False], [True, True, False]])


@pytest.mark.parametrize(
    ("threshold", "valid", "expected"),
    [
        # A score at the threshold does not exceed it.
        (0.5, None, [[0, 0, 1], [0, 0, 1], [1, 0, 1]]),
        # Of the second video no real frame exceeds it, so all of them are taken.
        (0.5, VALID, [[0, 0, 1], [1, 1, 0], [1, 0, 0]]),
        (0.9, None, [[1, 1, 1], [1, 1, 1], [1, 1, 1]]),
        (0.0, VALID, [[1, 1, 1], [1, 1, 0], [1, 1, 0]]),
    ],
)
def test_frames_above_the_threshold_or_all(threshold, valid, expected):
    np.testing.assert_array_equal(choose_frames(SCORES, threshold, valid), np.array(expected, bool))


def test_a_video_without_real_frames_has_none():
    assert not choose_frames(SCORES[:1], 0.5, jnp.zeros((1, 3), bool)).any()


TOKENS = jnp.arange(12, dtype=jnp.float32).reshape(1, 2, 3, 2)


@pytest.mark.parametrize(
    ("activation", "chosen", "places", "expected"),
    [
        (None, [True, True], None, [5, 6]),
        (None, [False, True], None, [8, 9]),
        (None, [True, True], [True, True, False], [4, 5]),
        # Weighted sums over three places, divided by their number.
        ([[1.0, 0.5, 0.0], [9.0, 9.0, 9.0]], [True, False], None, [1 / 3, 2.5 / 3]),
        ([[1.0, 0.5, 9.0], [0.0, 1.0, 9.0]], [True, True], [True, True, False], [9 / 4, 11.5 / 4]),
        (None, [False, False], None, [0, 0]),
    ],
)
def test_a_query_is_the_mean_over_chosen_frames_and_real_places(activation, chosen, places, expected):
    weights = None if activation is None else jnp.array([activation])
    grid = None if places is None else jnp.array([places])
    np.testing.assert_allclose(pool_query(TOKENS, weights, jnp.array([chosen]), grid), [expected], rtol=1e-6)


def test_queries_of_bfloat16_are_summed_in_float32():
    tokens = (1 + jnp.arange(220) / 512).astype(jnp.bfloat16).reshape(1, 2, 110, 1)
    query = pool_query(tokens, None, jnp.ones((1, 2), bool), None)
    assert query.dtype == jnp.bfloat16
    # A sum in bfloat16 would give 1.21875.
    assert float(query[0, 0]) == float(jnp.bfloat16(np.asarray(tokens, np.float64).mean())) == 1.2109375


def test_means_over_chosen_frames():
    values = jnp.array([[[1.0, 10], [2, 20], [6, 60]]])
    chosen = jnp.array([[True, False, True]])
    np.testing.assert_allclose(mean_over_chosen(values, chosen), [[3.5, 35]])


def test_activation_reaches_from_0_to_1_over_the_real_places_of_each_frame():
    """Of 2 videos, 3 frames and 5 places; the last two places of the second video are padding."""
    module, parameters = tiny()
    rng = np.random.default_rng(0)
    tokens = rng.standard_normal((2, 3, 5, 32)).astype(np.float32)
    query = rng.standard_normal((2, 32)).astype(np.float32)
    valid = np.array([[True] * 5, [True] * 3 + [False] * 2])

    def look(m, tokens, query, valid):
        return m.target_queries.motion_activation(tokens, query, valid)

    found = apply(module, parameters, look, tokens, query, valid)
    activation, words = np.asarray(found.weights), np.asarray(found.word_logits)
    assert activation.shape == (2, 3, 5)
    assert words.shape == (2, 3, 60)
    assert not activation[1, :, 3:].any()
    for real in (activation[0], activation[1, :, :3]):
        np.testing.assert_allclose(real.min(-1), 0, atol=1e-6)
        np.testing.assert_allclose(real.max(-1), 1, rtol=1e-6)
        assert ((real > 0.01) & (real < 0.99)).any()
    louder = np.where(valid[:, None, :, None], tokens, 9 * tokens)
    again = apply(module, parameters, look, louder, query, valid)
    np.testing.assert_allclose(again.weights, activation, atol=1e-5)
    np.testing.assert_allclose(again.word_logits, words, atol=1e-5)


@pytest.mark.parametrize(
    ("queries", "samples", "activates"),
    [("zero", False, False), ("sampling", True, False), ("activation", False, True), ("both", True, True)],
)
def test_what_a_kind_of_query_has(queries, samples, activates):
    config = TASTVGConfig(queries=queries, second_pass=False)
    assert (config.samples, config.activates) == (samples, activates)
    own = ((r"target_queries/.*", "target_queries"),)
    assert config.own_groups == (own if samples or activates else ())
    assert dataclasses.replace(config, appearance_words=3, motion_words=4).words == (3, 4)


def test_classifiers_teach_neither_the_encoder_nor_the_text():
    """As released: their inputs are taken as they are."""
    module, parameters = tiny()
    rng = np.random.default_rng(0)
    tokens, text = (rng.standard_normal((1, 2, n, 32)).astype(np.float32) for n in (4, 3))

    def look(m, tokens, text):
        def classify(tokens, text):
            video = EncodedVideo(tokens, text, tokens, tokens[:, :, 0], jnp.zeros((1, 4, 32)), None, None, None)
            seen = QueryTokens.of_both_streams(video, (2, 2), None)
            return m.target_queries.activate(seen), m.target_queries.sample(seen)

        return jax.jvp(classify, (tokens, text), (tokens, text))

    values, changes = apply(module, parameters, look, tokens, text)
    assert all(np.any(value) for value in jax.tree.leaves(values))
    assert not any(np.any(change) for change in jax.tree.leaves(changes))
