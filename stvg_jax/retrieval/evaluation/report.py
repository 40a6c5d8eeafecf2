"""Results of an evaluation of retrieval, as files and as a table.

OUT/metrics.json    measures of both directions
OUT/table.md        the measures below published ones
OUT/answers.jsonl   the best videos for each text, and the rank of the right one
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stvg_jax.core.files import whole_file
from stvg_jax.eval.config import EvalConfig
from stvg_jax.eval.tables import Table, percent
from stvg_jax.family import Report
from stvg_jax.retrieval.evaluation.metrics import DIRECTIONS, TEXT_TO_VIDEO, mean_recall, measures
from stvg_jax.retrieval.evaluation.scores import Scores
from stvg_jax.retrieval.inputs import RetrievalInputs

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.loading.captioned import CaptionedVideo
    from stvg_jax.models.loading import LoadedModel

METRICS_SCHEMA = "stvg_jax.retrieval_metrics/1"
_SHOWN = ("R@1", "R@5", "R@10", "MedR")
_ANSWERS = 10
TIES = "Of equally good answers the right one counts as the last."


def write_report(scores: Scores, model: LoadedModel, inputs: RetrievalInputs, config: EvalConfig, out: Path) -> Report:
    """Writes the files above.

    Args:
        scores: of all videos and texts of the split.
        model, inputs, config, out: as for `stvg_jax.family.Evaluator.report`.
    """
    ranks = scores.ranks()
    found = {direction: measures(ranks[direction]) for direction in DIRECTIONS}
    notes = _notes(scores, inputs)
    name, dataset = model.description.model, inputs.data.dataset
    table = results_table(found, config.benchmark, f"stvg_jax {name}", f"{dataset}, {config.split}", len(scores.owners))
    about = {"model": name, "dataset": dataset, "split": config.split, "dtype": config.dtype}
    about |= {"reranked": scores.reranked}
    results = {direction: {"queries": len(ranks[direction]), **found[direction]} for direction in DIRECTIONS}
    with whole_file(out / "metrics.json") as file:
        json.dump({"schema": METRICS_SCHEMA, **about, "results": results, "notes": notes}, file, indent=1)
        file.write("\n")
    with whole_file(out / "table.md") as file:
        file.write("\n".join([table.markdown(), *notes, ""]))
    _write_answers(out / "answers.jsonl", scores, ranks[TEXT_TO_VIDEO], inputs.samples)
    values = {f"{direction}/{name}": value for direction, group in found.items() for name, value in group.items()}
    return Report(values, mean_recall(found[TEXT_TO_VIDEO]), "\n".join([table.text(), *notes]))


def results_table(found: Mapping[str, Mapping[str, float]], benchmark: str, name: str, title: str, texts: int) -> Table:
    """Our figures below the published ones, recalls in percent.

    Args:
        found: measures by direction.
        benchmark: name of a test set (`Dataset.benchmarks`), or "none" for no published figures.
        name: name of our row.
        title: title of the table if there is no benchmark.
        texts: number of texts of the split.
    """
    from stvg_jax.data_pipeline.datasets.registry import get_benchmark

    known = get_benchmark(benchmark)
    unknown = (None,) * len(_SHOWN)
    rows = []
    notes = []
    for result in known.results if known else ():
        figures = [value for direction in DIRECTIONS for value in result.percent.get(direction, unknown)]
        rows.append((f"{result.method} ({result.venue})", *map(percent, figures)))
        if all(value is None for value in figures):
            notes.append(f"{result.method}: {result.source}.")
    ours = (
        percent(found[direction][measure] * (100 if measure.startswith("R@") else 1))
        for direction in DIRECTIONS
        for measure in _SHOWN
    )
    if known and (size := sum(known.samples.values())) != texts:
        notes.append(f"{texts:,} texts, where the benchmark has {size:,}.")
    spans = tuple((direction.capitalize(), len(_SHOWN)) for direction in DIRECTIONS)
    columns = ("", *_SHOWN * len(DIRECTIONS))
    return Table(known.title if known else title, spans, columns, (*rows, (name, *ours)), 1, tuple(notes))


def _notes(scores: Scores, inputs: RetrievalInputs) -> list[str]:
    videos, texts = scores.similarity.shape
    if scores.reranked:
        again = f"The {scores.reranked:,} best answers to each query are re-ranked and come before the others."
    else:
        again = "Answers are ranked by the similarity of embeddings alone."
    notes = [f"{videos:,} videos, {texts:,} texts. {again} {TIES}"]
    if inputs.left_out:
        notes.append(f"Entries of the annotations that are left out: {inputs.left_out:,}.")
    if inputs.unusable:
        notes.append(f"Videos left out because they are missing: {inputs.unusable:,}.")
    return notes


def _write_answers(path: Path, scores: Scores, ranks: np.ndarray, videos: Sequence[CaptionedVideo]) -> None:
    numbers, values = scores.best_videos(_ANSWERS)
    texts = (text for video in videos for text in video.captions)
    with whole_file(path) as file:
        for text, owner, rank, row, row_values in zip(texts, scores.owners, ranks, numbers, values, strict=True):
            answers: list[dict[str, Any]] = [
                {"video": videos[number].video, "score": round(float(value), 6)}
                for number, value in zip(row, row_values, strict=True)
            ]
            line = {"text": text, "video": videos[owner].video, "rank": int(rank), "best": answers}
            file.write(json.dumps(line) + "\n")
