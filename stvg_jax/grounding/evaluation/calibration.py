"""Calibration of the confidence in answers, from records of sentences that describe something in their clips, and of
sentences that do not."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.eval.tables import Table
from stvg_jax.grounding.evaluation.records import Record
from stvg_jax.grounding.inference.confidence import RIGHT, Calibration, log_score, sigmoid, tube_score

BINS = 15
# Share of the sentences that describe something in their clips of which the opposite may be said.
FALSE_ALARMS = 0.1
# Holds the slope finite where scores tell right tubes from wrong ones without an error.
_RIDGE = 1e-4
_STEPS = 50
_LEAST = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Cases:
    """Answers whose truth is known.

    Attributes:
        scores: float64 [n], of the tubes (`stvg_jax.grounding.inference.confidence.tube_score`).
        described: bool [n], whether the sentence describes something in the clip.
        right: bool [n], whether the tube is right.
    """

    scores: np.ndarray
    described: np.ndarray
    right: np.ndarray

    @classmethod
    def of(cls, described: Sequence[Record], others: Sequence[Record]) -> Cases:
        """Cases from the records of sentences that describe something in their clips, and of others.

        Raises:
            InputError: records without scores, or too few to say anything.
        """
        if min(len(described), len(others)) < _LEAST:
            raise InputError(
                f"{len(described)} sentences that describe their clips and {len(others)} others; a calibration needs "
                f"{_LEAST} of each or more"
            )
        scores = np.array([score_of(record) for record in (*described, *others)])
        right = [record.metrics.viou > RIGHT for record in described]
        known = np.arange(len(scores)) < len(described)
        return cls(scores, known, np.array(right + [False] * len(others)))

    @property
    def weights(self) -> np.ndarray:
        """Weights of the cases, float64 [n], with a sum of 1: half of it for each kind of sentence."""
        count = np.where(self.described, self.described.sum(), (~self.described).sum())
        return 0.5 / count


def score_of(record: Record) -> float:
    """The score of the tube of a record.

    Raises:
        InputError: the record has no scores.
    """
    if record.scores is None:
        raise InputError(f"the record of sample {quoted(record.id)} has no scores; evaluate it again")
    return tube_score(record.prediction.interval, record.scores, record.prediction.boxes_xyxy)


def fit(cases: Cases, *, parameters: str = "", about: dict[str, object] | None = None) -> Calibration:
    """Fits a calibration: logistic regression of `Cases.right`, in which both kinds of sentences have the same weight.

    Its threshold is the highest one below which at most FALSE_ALARMS of the sentences lie that describe something.

    Args:
        cases: of a split that the model was not trained on.
        parameters: `stvg_jax.grounding.inference.confidence.parameters_digest` of the checkpoint.
        about: JSON values about the samples.

    Raises:
        InputError: no tube is right, or scores do not tell right ones from wrong ones.
    """
    if not cases.right.any():
        raise InputError("none of the tubes are right, so that nothing tells right ones from wrong ones")
    slope, offset = _logistic(log_score(cases.scores), cases.right, cases.weights)
    if slope <= 0:
        raise InputError("tubes with higher scores are not more often right, so that a confidence would mislead")
    calibration = Calibration(slope, offset, 0.0, parameters, about or {})
    described = np.sort(calibration.probability(cases.scores[cases.described]))
    # Rounded down, so that no sentence gets below it.
    threshold = math.floor(1e4 * described[int(FALSE_ALARMS * len(described))]) / 1e4
    return dataclasses.replace(calibration, threshold=threshold)


def _logistic(inputs: np.ndarray, wanted: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Slope and offset of a logistic regression, by Newton's method; weights have a sum of 1."""
    design = np.column_stack([inputs, np.ones(len(inputs))])
    ridge = np.diag([_RIDGE, 0.0])
    solution = np.zeros(2)
    for _ in range(_STEPS):
        probability = sigmoid(design @ solution)
        gradient = design.T @ (weights * (probability - wanted)) + ridge @ solution
        curvature = (design.T * (weights * probability * (1 - probability))) @ design + ridge
        step = np.linalg.solve(curvature, gradient)
        solution = solution - step
        if np.abs(step).max() < 1e-9:
            break
    return float(solution[0]), float(solution[1])


@dataclasses.dataclass(frozen=True)
class Quality:
    """Worth of the confidence on some cases, with the same weight for both kinds of sentences.

    Attributes:
        ece: expected calibration error, in BINS bins of one width.
        ece_before: that of the score without a calibration.
        right_auc: share of the pairs in which a right tube has a higher confidence than a wrong one.
        described_auc: the same where a sentence that describes something in the clip has a higher one than another.
        recall: share of the sentences that describe nothing in the clip of which this is said.
        false_alarms: share of the others of which it is said.
        right_lost: share of the right tubes of which it is said.
        bins: (lowest, share of the cases, mean confidence, share of right tubes) of each bin that has cases.
    """

    ece: float
    ece_before: float
    right_auc: float
    described_auc: float
    recall: float
    false_alarms: float
    right_lost: float
    bins: tuple[tuple[float, float, float, float], ...]

    def tables(self, title: str) -> list[Table]:
        """Its figures, and the reliability of each bin."""
        figures = {
            "expected calibration error": self.ece,
            "... without a calibration": self.ece_before,
            "AUC, right tubes against others": self.right_auc,
            "AUC, described against not described": self.described_auc,
            "not described, and said so (recall)": self.recall,
            "described, but the opposite is said (false alarms)": self.false_alarms,
            "right tubes of which it is said": self.right_lost,
        }
        rows = tuple((name, f"{value:.3f}") for name, value in figures.items())
        bins = tuple(
            (f"{low:.2f} to {low + 1 / BINS:.2f}", *(f"{value:.3f}" for value in values)) for low, *values in self.bins
        )
        columns = ("confidence", "share of answers", "mean confidence", "share right")
        return [
            Table(title, (), ("figure", "value"), rows, 0),
            Table("Reliability", (), columns, bins, 0),
        ]


def measure_confidence(calibration: Calibration, cases: Cases) -> Quality:
    """Measures a calibration on cases, which should not be those that it was fitted on."""
    confidence, weights = calibration.probability(cases.scores), cases.weights
    low = confidence < calibration.threshold
    bins = tuple(_bins(confidence, cases.right, weights))
    return Quality(
        ece=sum(share * abs(mean - right) for _, share, mean, right in bins),
        ece_before=sum(
            share * abs(mean - right) for _, share, mean, right in _bins(cases.scores, cases.right, weights)
        ),
        right_auc=auc(confidence, cases.right, weights),
        described_auc=auc(confidence, cases.described, weights),
        recall=float(low[~cases.described].mean()),
        false_alarms=float(low[cases.described].mean()),
        right_lost=float(low[cases.right].mean()) if cases.right.any() else 0.0,
        bins=bins,
    )


def _bins(
    confidence: np.ndarray, right: np.ndarray, weights: np.ndarray
) -> Iterable[tuple[float, float, float, float]]:
    """(lowest, share, mean confidence, share of right ones) of each bin that has cases; weights have a sum of 1."""
    index = np.minimum((confidence * BINS).astype(int), BINS - 1)
    for number in np.unique(index):
        share = weights * (index == number)
        total = share.sum()
        yield number / BINS, float(total), float(share @ confidence / total), float(share @ right / total)


def auc(values: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> float:
    """Share of the pairs in which a positive case has a higher value than a negative one, with weights; equal values
    count half. NaN if there are none of a kind."""
    if positive.all() or not positive.any():
        return math.nan
    _, rank = np.unique(values, return_inverse=True)
    high, low = (np.bincount(rank, weights * kind) for kind in (positive, ~positive))
    return float(high @ (np.cumsum(low) - low / 2) / (high.sum() * low.sum()))
