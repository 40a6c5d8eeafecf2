"""Scores and ranks with re-ranking, against the matrices of the release."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.retrieval.evaluation.metrics import TEXT_TO_VIDEO, VIDEO_TO_TEXT, mean_recall, measures
from stvg_jax.retrieval.evaluation.records import ComparedRecord, EncodedRecord, finite
from stvg_jax.retrieval.evaluation.scores import Scores, texts_to_compare
from stvg_jax.retrieval.scoring import all_similarities, encode_texts, match_texts
from tests.retrieval import toy

GOLDEN = np.load(Path(__file__).parents[1] / "goldens" / "retrieval_reranking.npz")
META = json.loads(str(GOLDEN["meta"]))
K = META["k_test"]


@pytest.fixture(scope="module")
def golden() -> Scores:
    similarity, terms = GOLDEN["similarity"], GOLDEN["itm_probability"]
    compared = [(texts, terms[video, texts]) for video, texts in enumerate(texts_to_compare(similarity, K))]
    owners = np.repeat(np.arange(len(similarity)), META["captions_per_video"])
    return Scores.of(similarity, owners, compared, K)


@pytest.mark.parametrize(("direction", "name"), [(VIDEO_TO_TEXT, "v2t"), (TEXT_TO_VIDEO, "t2v")])
def test_equals_the_released_matrices(golden, direction, name):
    scores, first = golden.ordered(direction)
    np.testing.assert_array_equal(first, GOLDEN[name] > -100)
    np.testing.assert_allclose(scores[first], GOLDEN[name][first], rtol=0, atol=1e-6)


def test_equals_the_released_measures(golden):
    found = {direction: measures(ranks) for direction, ranks in golden.ranks().items()}
    for direction, prefix in ((VIDEO_TO_TEXT, "txt"), (TEXT_TO_VIDEO, "img")):
        # Beyond the re-ranked answers the release has only ties.
        assert 100 * found[direction]["R@1"] == pytest.approx(META["metrics"][f"{prefix}_r1"])
        assert 0 <= mean_recall(found[direction]) <= 1
    assert found[TEXT_TO_VIDEO]["MedR"] == META["metrics"]["MedianR"]


def test_every_best_pair_is_compared_once():
    rng = np.random.default_rng(0)
    similarity = rng.random((7, 12))
    texts = texts_to_compare(similarity, 3)
    wanted = {(v, t) for v in range(7) for t in np.argsort(-similarity[v])[:3]}
    wanted |= {(v, t) for t in range(12) for v in np.argsort(-similarity[:, t])[:3]}
    assert [(v, t) for v, some in enumerate(texts) for t in some] == sorted(wanted)


def test_the_best_videos_are_those_that_were_reranked_first():
    similarity = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]], np.float32)
    compared = [([0], np.float32([0.0])), ([0, 1], np.float32([0.5, 0.0])), ([1], np.float32([0.4]))]
    numbers, values = Scores.of(similarity, np.array([2, 0]), compared, 2).best_videos(3)
    assert numbers.tolist() == [[1, 0, 2], [2, 1, 0]]
    np.testing.assert_allclose(values, [[1.3, 0.9, 0.7], [0.7, 0.2, 0.1]], atol=1e-6)


@pytest.fixture(scope="module")
def model():
    module, parameters = toy.parameters()
    return module.bind(parameters)


def test_only_filled_chunks_are_computed_and_a_video_once(model, monkeypatch):
    rng = np.random.default_rng(0)
    ids, valid = rng.integers(4, 60, (3, 2, 5)).astype(np.int32), np.ones((3, 2, 5), bool)
    tokens = rng.standard_normal((4, 6)).astype(np.float32)
    calls = []
    monkeypatch.setattr(
        toy.ToyModel, "video_memory", lambda self, tokens: calls.append(tokens.shape) or self.memory(tokens)
    )
    terms = jax.jit(lambda *arrays: match_texts(model, *arrays))(tokens, ids, valid, jnp.int32(2))
    assert calls == [(4, 6)]
    memory = model.memory(tokens)
    for chunk in range(2):
        np.testing.assert_allclose(terms[chunk], model.match(memory, ids[chunk], valid[chunk]), atol=1e-6)
    assert not np.any(terms[2])
    texts = encode_texts(model, jnp.asarray(ids), jnp.asarray(valid), jnp.int32(1))
    np.testing.assert_allclose(texts[0], model.encode_texts(ids[0], valid[0]).embeddings, atol=1e-6)
    assert not np.any(texts[1:])


def test_similarities_in_parts_equal_those_at_once(monkeypatch):
    module, _ = toy.parameters()
    rng = np.random.default_rng(1)
    videos, texts = rng.standard_normal((5, 3, 4)).astype(np.float32), rng.standard_normal((7, 4)).astype(np.float32)
    expected = np.einsum("vqe,te->vtq", videos, texts).max(-1)
    np.testing.assert_allclose(all_similarities(module, videos, texts), expected, atol=1e-6)
    monkeypatch.setattr("stvg_jax.retrieval.scoring._VIDEOS", 2)
    monkeypatch.setattr("stvg_jax.retrieval.scoring._TEXTS", 3)
    np.testing.assert_allclose(all_similarities(module, videos, texts), expected, atol=1e-6)


def test_records_keep_every_bit():
    rng = np.random.default_rng(2)
    record = EncodedRecord("7", rng.standard_normal((3, 4)).astype(np.float32), np.zeros((0, 4), np.float32))
    again = EncodedRecord.from_line(record.to_line().encode())
    assert again.id == "7" and again.texts.shape == (0, 4)
    np.testing.assert_array_equal(again.video, record.video)
    compared = ComparedRecord("7 ab", np.float32([0.1, 0.2]))
    np.testing.assert_array_equal(ComparedRecord.from_line(compared.to_line().encode()).terms, compared.terms)


@pytest.mark.parametrize(
    "change",
    [
        {"id": 3}, {"video": None}, {"texts": {"shape": [1, 4]}}, {"video": {"shape": [1, 3], "float32": "AAAA"}},
        {"texts": {"shape": [2, 2], "float32": "AAAAAAAAAAAAAAAAAAAAAA=="}},
        {"video": {"shape": [1, 1], "float32": "AADAfw=="}}, {"video": {"shape": [True, 1], "float32": "AAAAAA=="}},
        {"video": {"shape": [1, 1], "float32": "?"}},
    ],
)  # fmt: skip
def test_damaged_records_are_refused(change):
    whole = json.loads(EncodedRecord("7", np.ones((1, 4), np.float32), np.ones((1, 4), np.float32)).to_line())
    with pytest.raises(ValueError):
        EncodedRecord.from_line(json.dumps(whole | change).encode())
    with pytest.raises(ValueError):
        EncodedRecord.from_line(b"[]")
    with pytest.raises(ValueError):
        ComparedRecord.from_line(b'{"id": "7"}')


def test_numbers_must_be_finite():
    with pytest.raises(InputError, match="the model's numbers for entry 3 are not finite"):
        finite(np.array([np.nan]), "entry 3")
