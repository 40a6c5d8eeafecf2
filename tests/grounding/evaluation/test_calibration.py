"""Calibration of the confidence from records, and measures of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stvg_jax import InputError
from stvg_jax.cli import main
from stvg_jax.grounding.evaluation import calibration as module
from stvg_jax.grounding.evaluation.calibration import Cases, auc, fit, measure_confidence
from stvg_jax.grounding.inference.confidence import Calibration, parameters_digest
from tests.grounding.evaluation.cases import make_set

TRUE = Calibration(1.5, 0.5, 0.0)


def drawn(count: int, seed: int = 0) -> Cases:
    """Cases of which TRUE is the calibration, where both kinds of sentences count alike."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0, 1, count)
    right = rng.random(count) < TRUE.probability(scores)
    # Right tubes are of sentences that describe something, and as many of the others are.
    described = right | (rng.random(count) < (0.5 - right.mean()) / (1 - right.mean()))
    return Cases(scores, described, right)


def test_the_numbers_are_found_again():
    cases = drawn(20_000)
    found = fit(cases, parameters="abc", about={"split": "val"})
    assert found.slope == pytest.approx(TRUE.slope, abs=0.1)
    assert found.offset == pytest.approx(TRUE.offset, abs=0.1)
    assert (found.parameters, found.about) == ("abc", {"split": "val"})
    quality = measure_confidence(found, drawn(20_000, seed=1))
    assert quality.ece < 0.02 < quality.ece_before
    assert quality.false_alarms == pytest.approx(0.1, abs=0.02)
    assert quality.recall > quality.false_alarms
    assert quality.right_lost < quality.false_alarms
    assert sum(share for _, share, _, _ in quality.bins) == pytest.approx(1)


def test_scores_that_tell_without_an_error():
    right = np.arange(60) < 30
    found = fit(Cases(np.where(right, 0.9, 0.1), right, right))
    assert np.isfinite([found.slope, found.offset]).all()
    quality = measure_confidence(found, Cases(np.where(right, 0.9, 0.1), right, right))
    assert (quality.recall, quality.false_alarms, quality.right_auc) == (1, 0, 1)
    assert quality.ece < 0.05


def test_both_kinds_of_sentences_count_alike():
    cases = drawn(4000)
    others = np.flatnonzero(~cases.described)
    twice = np.concatenate([np.arange(4000), others])
    again = Cases(cases.scores[twice], cases.described[twice], cases.right[twice])
    assert cases.weights.sum() == pytest.approx(1)
    assert fit(again).slope == pytest.approx(fit(cases).slope)
    ours, theirs = (measure_confidence(TRUE, c) for c in (cases, again))
    assert ours.ece == pytest.approx(theirs.ece)
    assert ours.right_auc == pytest.approx(theirs.right_auc)


def test_auc():
    values, positive = np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, True, False, True])
    assert auc(values, positive, np.full(4, 0.25)) == pytest.approx(3.5 / 4)
    assert np.isnan(auc(values, np.ones(4, bool), np.full(4, 0.25)))


def test_cases_are_those_of_records():
    _, records = make_set(30)
    cases = Cases.of(records, records)
    # Answers go from perfect to hopeless, but none about another video is right.
    assert cases.right[0]
    assert not cases.right[29:].any()
    assert cases.right.sum() == sum(record.metrics.viou > 0.3 for record in records)
    assert cases.described.tolist() == [True] * 30 + [False] * 30
    assert np.all((cases.scores >= 0) & (cases.scores <= 1))


def test_what_cannot_be_calibrated():
    _, records = make_set(30)
    with pytest.raises(InputError, match="30 sentences that describe their clips and 5 others; .* needs 20"):
        Cases.of(records, records[:5])
    with pytest.raises(InputError, match="the record of sample '0' has no scores"):
        Cases.of([dataclasses.replace(records[0], scores=None), *records], records)
    cases = drawn(200)
    with pytest.raises(InputError, match="none of the tubes are right"):
        fit(dataclasses.replace(cases, right=np.zeros(200, bool)))
    with pytest.raises(InputError, match="tubes with higher scores are not more often right"):
        fit(dataclasses.replace(cases, scores=1 - cases.scores))


@pytest.mark.slow
def test_the_command_evaluates_both_kinds_of_sentences(hcstvg, checkpoint, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(module, "_LEAST", 4)
    from stvg_jax.core.checkpoint import CALIBRATION, describe

    given = tmp_path / CALIBRATION
    Calibration(1.0, 0.0, 0.5, parameters_digest(describe(checkpoint).parameters)).write(given)
    out = tmp_path / "out"
    arguments = [
        *("calibrate", "--config", "ta_stvg_hcstvg1", "--checkpoint", str(checkpoint), "--out", str(out)),
        f"--config.data.annotations={hcstvg / 'data' / 'hc-stvg'}",
        f"--config.data.frames={hcstvg / 'frames' / 'hc-stvg'}",
        "--config.eval.samples_per_device=4",
        *("--split", "test"),
    ]
    assert main([*arguments, "--measure", str(given)]) == 0
    told = capsys.readouterr().out
    assert "Confidence of ta_stvg on hcstvg, test; threshold 0.50" in told
    assert "not described, and said so (recall)" in told
    assert {path.name for path in out.iterdir()} == {"described", "other_sentences", "confidence.md"}
    # Answers are there; those of an untrained model are all wrong.
    assert main(arguments) == 2
    assert "none of the tubes are right" in capsys.readouterr().err
    Calibration(1.0, 0.0, 0.5, "other").write(given)
    assert main([*arguments, "--measure", str(given)]) == 2
    assert "made for other parameters" in capsys.readouterr().err
