"""Measures of the papers, as in the released evaluators. Plain numpy.

The released code is `datasets/evaluation/hcstvg_eval.py` and `vidstg_eval.py`, which TA-STVG, CG-STVG and STCAT share
and which come from TubeDETR. With P the predicted and G the true interval:

    tIoU     = |P and G| / |P or G|, in frames
    vIoU     = sum of the boxes' IoU over the frames of (P and G) / |P or G|
    gt_vIoU  = mean of the boxes' IoU over the true frames: the boxes alone, as if the true interval were known

m_tIoU and m_vIoU are means over samples. vIoU@R is the share of samples with vIoU > R.

The released evaluators leave out the last frame of G, but not that of P, so that a perfect answer of n frames has tIoU
and vIoU (n - 1) / n. Published figures include this, and so do these measures. gt_vIoU includes every true frame. A
true frame without a predicted box counts as 0.

TubeDETR was published by measures of its own evaluator (`SAMPLED`), which differs in two ways: G has its last frame,
and only the frames that the model saw count in vIoU and gt_vIoU.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable

import numpy as np

from stvg_jax.grounding.evaluation.types import AnnotatedTube, Prediction

THRESHOLDS = (0.3, 0.5)
KINDS = ("declarative", "interrogative")


@dataclasses.dataclass(frozen=True)
class SampleMetrics:
    """One sample's measures, in [0, 1].

    Attributes:
        tiou, viou, gt_viou: as above.
        missing_boxes: number of true frames without a predicted box.
    """

    tiou: float
    viou: float
    gt_viou: float
    missing_boxes: int = 0


@dataclasses.dataclass(frozen=True)
class Summary:
    """Means over samples.

    Attributes:
        samples: number of samples.
        measures: "m_tIoU", "m_vIoU", "vIoU@0.3", "vIoU@0.5", then "gt_m_vIoU", "gt_vIoU@0.3", "gt_vIoU@0.5"; in [0, 1].
    """

    samples: int
    measures: dict[str, float]


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of pairs of boxes (x1, y1, x2, y2), float [n, 4] each -> float64 [n]; 0 where both boxes are empty."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    intersection = sides.clip(min=0).prod(axis=1)
    union = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1) - intersection
    return np.divide(intersection, union, out=np.zeros(len(union)), where=union > 0)


def measure(prediction: Prediction, annotated: AnnotatedTube) -> SampleMetrics:
    """Measures one prediction. It has boxes in the frames given only; `Prediction.filled` interpolates them."""
    first, true_end = annotated.tube
    last = true_end - 1  # G of the released evaluators ends before this frame
    start, end = prediction.interval
    both = range(max(first, start), min(last, end))
    either = max(last, end) - min(first, start)

    inside = (prediction.frames >= first) & (prediction.frames < true_end)
    frames = prediction.frames[inside]
    overlaps = box_iou(prediction.boxes_xyxy[inside], annotated.boxes_xyxy[frames - first])
    in_both = (frames >= both.start) & (frames < both.stop)
    return SampleMetrics(
        tiou=len(both) / either if both else 0.0,
        viou=float(overlaps[in_both].sum()) / max(either, 1),
        gt_viou=float(overlaps.sum()) / max(len(annotated.boxes_xyxy), 1),
        missing_boxes=len(annotated.boxes_xyxy) - len(frames),
    )


def measure_sampled(prediction: Prediction, annotated: AnnotatedTube) -> SampleMetrics:
    """Measures one prediction by TubeDETR's evaluator (`datasets/hcstvg_eval.py` and `vidstg_eval.py`).

    Args:
        prediction: with boxes in all sampled frames and no others.
        annotated: the true tube.
    """
    (first, true_end), (start, end) = annotated.tube, prediction.interval
    both, either = (max(first, start), min(true_end, end)), (min(first, start), max(true_end, end))
    frames = prediction.frames
    true = (frames >= first) & (frames < true_end)
    overlaps = box_iou(prediction.boxes_xyxy[true], annotated.boxes_xyxy[frames[true] - first])
    in_both = (frames[true] >= both[0]) & (frames[true] < both[1])
    counted = int(((frames >= either[0]) & (frames < either[1])).sum())
    common = max(both[1] - both[0], 0)
    return SampleMetrics(
        tiou=common / (true_end - first + end - start - common),
        viou=float(overlaps[in_both].sum()) / max(counted, 1),
        gt_viou=float(overlaps.sum()) / max(len(overlaps), 1),
    )


@dataclasses.dataclass(frozen=True)
class OwnMeasures:
    """Measures by which some systems were published, beside those that all models have here.

    Attributes:
        name: name in files and in the metrics of a training.
        title: name in tables.
        measure: (prediction with boxes in the sampled frames only, true tube) -> measures.
        note: line below a table.
    """

    name: str
    title: str
    measure: Callable[[Prediction, AnnotatedTube], SampleMetrics]
    note: str


SAMPLED = OwnMeasures(
    name="sampled_frames",
    title="TubeDETR's own measures",
    measure=measure_sampled,
    note="TubeDETR's own measures count sampled frames only and include the truth's last frame: an exact answer has 1.",
)


def summarise(measured: Iterable[tuple[str, SampleMetrics]]) -> dict[str, Summary]:
    """Means for each kind of sentence, declarative first; kinds without samples are left out.

    Sums are exact and rounded once, so that the order of the samples does not matter.

    Args:
        measured: (kind, measures) of each sample.
    """
    groups: dict[str, list[SampleMetrics]] = {}
    for kind, metrics in measured:
        groups.setdefault(kind, []).append(metrics)
    order = [*KINDS, *sorted(set(groups) - set(KINDS))]
    return {kind: _means(groups[kind]) for kind in order if kind in groups}


def _means(group: list[SampleMetrics]) -> Summary:
    def mean(values: Iterable[float]) -> float:
        return math.fsum(values) / len(group)

    def spatial(values: list[float], prefix: str) -> dict[str, float]:
        shares = {f"{prefix}vIoU@{r}": mean(value > r for value in values) for r in THRESHOLDS}
        return {f"{prefix}m_vIoU": mean(values)} | shares

    measures = {"m_tIoU": mean(m.tiou for m in group)}
    measures |= spatial([m.viou for m in group], "") | spatial([m.gt_viou for m in group], "gt_")
    return Summary(len(group), measures)
