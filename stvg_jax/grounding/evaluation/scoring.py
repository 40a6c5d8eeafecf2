"""Scoring: from predictions and annotations to measures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from stvg_jax.core.errors import InputError
from stvg_jax.core.files import whole_file
from stvg_jax.grounding.evaluation.metrics import SampleMetrics, Summary, measure, summarise
from stvg_jax.grounding.evaluation.reading import Problems
from stvg_jax.grounding.evaluation.records import read_records
from stvg_jax.grounding.evaluation.result_files import Results, read_results
from stvg_jax.grounding.evaluation.types import AnnotatedSample, Prediction

METRICS_SCHEMA = "stvg_jax.metrics/1"
Missing = Literal["error", "zero", "skip"]
_ZERO = SampleMetrics(0.0, 0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class Score:
    """Measures of a set of predictions.

    Attributes:
        metrics: sample id -> measures, in the order of the annotations.
        groups: kind of sentence -> means.
        notes: remarks for readers of the figures.
    """

    metrics: dict[str, SampleMetrics]
    groups: dict[str, Summary]
    notes: tuple[str, ...] = ()


def read_predictions(path: Path) -> Results:
    """Reads predictions: a result file of the released systems, or records of this library (the file, or the folder of
    its parts).

    Raises:
        InputError: anything else.
    """
    if not path.exists():
        raise InputError(f"predictions {path} do not exist")
    if path.is_file() and path.suffix != ".jsonl":
        return read_results(path)
    records = read_records(path)
    if not records:
        raise InputError(f"{path} has no records")
    predictions = {record.id: record.prediction.filled() for record in records}
    return Results(predictions, {record.id: record.kind for record in records}, Problems(), frozenset())


def score_results(
    results: Results,
    samples: Sequence[AnnotatedSample],
    *,
    what: str = "the predictions cannot be scored",
    excluded: Collection[str] = (),
    missing: Missing = "error",
) -> Score:
    """Measures predictions, after checking that they belong to these samples.

    Args:
        results: of `read_predictions`.
        samples: the annotated samples.
        what: beginning of the error message.
        excluded: ids of unusable entries of the annotations; predictions for them are ignored.
        missing: treatment of samples without a prediction: "error" reports them, "zero" counts them as 0, "skip" leaves
            them out of the means, as the released evaluators do.

    Raises:
        InputError: with all problems of the predictions.
    """
    problems = results.problems
    known = {sample.id for sample in samples}
    for key in results.predictions:
        if key not in known and key not in excluded:
            problems.add("samples that the annotations do not have", key)
    absent = [t.id for t in samples if t.id not in results.predictions and t.id not in results.broken]
    if missing == "error":
        for key in absent:
            problems.add("no prediction (--missing zero or --missing skip go on without)", key)
    for sample in samples:
        if results.kinds.get(sample.id, sample.kind) != sample.kind:
            problems.add("another kind of sentence than in the annotations; ids may be of another file", sample.id)
    problems.raise_all(what)

    if len(absent) == len(samples):
        raise InputError("there is no prediction for any sample")
    notes = [f"Entries of the annotations that are left out: {len(excluded):,}."] if excluded else []
    if absent:
        how = "count as 0" if missing == "zero" else "are left out of the means"
        notes.append(f"{len(absent):,} of {len(samples):,} samples have no prediction and {how}.")
    return score(results.predictions, samples, missing=missing, notes=notes)


def score(
    predictions: Mapping[str, Prediction],
    samples: Sequence[AnnotatedSample],
    *,
    missing: Missing = "error",
    notes: Sequence[str] = (),
) -> Score:
    """Measures predictions that need no check; `missing` as for `score_results`.

    Raises:
        KeyError: a sample has no prediction, and `missing` is "error".
    """
    metrics = {}
    for sample in samples:
        if sample.id in predictions or missing == "error":
            metrics[sample.id] = measure(predictions[sample.id], sample)
        elif missing == "zero":
            metrics[sample.id] = dataclasses.replace(_ZERO, missing_boxes=len(sample.boxes_xyxy))
    bare = sum(m.missing_boxes for key, m in metrics.items() if key in predictions)
    frames = sum(len(t.boxes_xyxy) for t in samples if t.id in metrics)
    notes = list(notes)
    if bare:
        notes.append(f"{bare:,} of {frames:,} true frames have no predicted box and count as 0.")
    return Score(metrics, summarise((t.kind, metrics[t.id]) for t in samples if t.id in metrics), tuple(notes))


def write_metrics(
    path: Path, score: Score, own: Mapping[str, Mapping[str, Summary]] | None = None, **about: Any
) -> None:
    """Writes the means as JSON (`docs/results.md`), whole or not at all.

    Args:
        path: the file.
        score: the measures.
        own: means by further measures, by their name and kind of sentence.
        about: JSON values that describe the evaluation, such as `dataset`.
    """
    content = {"schema": METRICS_SCHEMA, **about, "results": _by_kind(score.groups)}
    if own:
        content["own_measures"] = {name: _by_kind(groups) for name, groups in own.items()}
    with whole_file(path) as file:
        json.dump(content | {"notes": list(score.notes)}, file, indent=1)
        file.write("\n")


def _by_kind(groups: Mapping[str, Summary]) -> dict[str, dict[str, float]]:
    return {kind: {"samples": summary.samples, **summary.measures} for kind, summary in groups.items()}
