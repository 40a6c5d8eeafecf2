"""Ranks and measures against the metric code of the release."""

import json
from pathlib import Path

import numpy as np
import pytest

from stvg_jax.retrieval.evaluation.metrics import best, mean_recall, measures, ranks

GOLDEN = np.load(Path(__file__).parents[1] / "goldens" / "retrieval_metrics.npz")
CASES = json.loads(str(GOLDEN["meta"]))["cases"]
NAMES = {"R@1": "r1", "R@5": "r5", "R@10": "r10"}


def owners(case) -> np.ndarray:
    """bool [v, t], the texts of each video."""
    counts = case["captions_per_video"]
    return np.repeat(np.arange(len(counts)), counts) == np.arange(len(counts))[:, None]


def matrices(number):
    return GOLDEN[f"case{number}.v2t"], GOLDEN[f"case{number}.t2v"], owners(CASES[number])


@pytest.mark.parametrize("number", range(len(CASES)))
def test_ties_count_against_the_model(number):
    """The worst ranks that the released code may give; its own are between these and the best ones."""
    v2t, t2v, own = matrices(number)
    for scores, right, direction in ((v2t, own, "v2t"), (t2v, own.T, "t2v")):
        found = ranks(scores, right)
        assert np.all(found >= 1 + np.array(CASES[number][f"best_rank_{direction}"]))
        worst = 1 + np.array(CASES[number][f"worst_rank_{direction}"])
        if direction == "t2v" or len(v2t.T) == len(v2t):
            assert found.tolist() == worst.tolist()
        else:
            # Other captions of the same video do not count as wrong.
            assert np.all(found <= worst)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_equals_the_released_measures_where_ties_are_ordered_as_there(number):
    """A stable sort, reversed: of equal answers the last comes first."""
    v2t, t2v, own = matrices(number)
    stable = CASES[number]["metrics_stable"]
    for scores, right, prefix in ((v2t, own, "txt"), (t2v, own.T, "img")):
        place = np.arange(scores.shape[1])
        # Ranks of all columns have no ties, and the same order.
        order = np.argsort(np.argsort(scores, axis=1, kind="stable"), axis=1)
        assert np.all(np.take_along_axis(order, np.argsort(scores, 1, kind="stable"), 1) == place)
        found = measures(ranks(order, right))
        for name, theirs in NAMES.items():
            assert 100 * found[name] == pytest.approx(stable[f"{prefix}_{theirs}"], abs=1e-9)
        mean = np.mean([stable[f"{prefix}_{name}"] for name in NAMES.values()])
        assert 100 * mean_recall(found) == pytest.approx(mean)
    assert found["MedR"] == stable["MedianR"]


def test_without_ties_the_released_measures_are_ours():
    v2t, t2v, own = matrices(0)
    theirs = CASES[0]["metrics"]
    for scores, right, prefix in ((v2t, own, "txt"), (t2v, own.T, "img")):
        found = measures(ranks(scores, right))
        assert {name: 100 * found[name] for name in NAMES} == {n: theirs[f"{prefix}_{k}"] for n, k in NAMES.items()}


def test_answers_that_were_not_reranked_follow_by_their_own_scores():
    scores = np.array([[0.9, 0.8, 0.7, 0.6], [0.9, 0.8, 0.7, 0.6]])
    first = np.array([[False, False, True, True], [False, True, False, True]])
    right = np.array([[False, False, False, True], [False, False, True, False]])
    assert ranks(scores, right).tolist() == [4, 3]
    assert ranks(scores, right, first).tolist() == [2, 4]
    # The better of two right answers is the one that was re-ranked.
    assert ranks(scores, right | np.array([True, False, False, False]), first).tolist() == [2, 3]


def test_ranks_equal_those_by_definition():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (40, 9)).astype(float)
    first, right = rng.random((40, 9)) < 0.4, rng.random((40, 9)) < 0.2
    right[np.arange(40), rng.integers(0, 9, 40)] = True
    for row, found in enumerate(ranks(scores, right, first)):
        keys = [(bool(f), s) for f, s in zip(first[row], scores[row], strict=True)]
        own = max(key for key, r in zip(keys, right[row], strict=True) if r)
        assert found == 1 + sum(key >= own for key, r in zip(keys, right[row], strict=True) if not r)


def test_the_best_of_each_query():
    similarity = np.array([[0.1, 0.3, 0.2], [0.5, 0.5, 0.5]])
    assert best(similarity, 2).tolist() == [[False, True, True], [True, True, False]]
    assert best(similarity, 9).all()
    assert not best(similarity, 0).any()
