"""Tables of results in the layout of the papers, with published figures above."""

from __future__ import annotations

from collections.abc import Mapping

from stvg_jax.eval.tables import Table, percent
from stvg_jax.grounding.evaluation.metrics import OwnMeasures, Summary

# Shown beside every tIoU, because a value below 1 for equal intervals would look like an error.
CONVENTION = (
    "tIoU and vIoU are the published measures, which leave out the truth's last frame: an exact answer of n frames has "
    "(n - 1) / n."
)
_GIVEN = ("gt_m_vIoU", "gt_vIoU@0.3", "gt_vIoU@0.5")


def results_table(
    groups: Mapping[str, Summary],
    benchmark: str | None,
    name: str,
    dataset: str = "",
    *,
    own: OwnMeasures | None = None,
) -> Table:
    """Our figures below the published ones, in percent.

    Args:
        groups: summaries by kind of sentence.
        benchmark: name of a test set (`Dataset.benchmarks`); None or "none" for no published figures.
        name: name of our row.
        dataset: title of the table if there is no benchmark.
        own: measures of which these are summaries, if not the usual ones; only systems published by them are shown.
    """
    from stvg_jax.data_pipeline.datasets.dataset import MEASURES
    from stvg_jax.data_pipeline.datasets.registry import get_benchmark

    known = get_benchmark(benchmark or "none")
    measures = known.measures if known else MEASURES
    kinds = [*(known.samples if known else ()), *(kind for kind in groups if not known or kind not in known.samples)]
    columns = ("", *(measure for _ in kinds for measure in measures))
    rows = [
        (
            f"{row.method} ({row.venue})",
            *(percent(value) for kind in kinds for value in row.percent.get(kind, (None,) * len(measures))),
        )
        for row in (known.results if known else ())
        if own is None or row.own_measures == own.name
    ]
    ours = (
        percent(100 * groups[kind].measures[measure] if kind in groups else None)
        for kind in kinds
        for measure in measures
    )
    spans = tuple((kind.capitalize(), len(measures)) for kind in kinds) if len(kinds) > 1 else ()
    notes = [
        f"{kind.capitalize()}: {groups[kind].samples if kind in groups else 0:,} of the benchmark's {size:,} samples."
        for kind, size in (known.samples.items() if known else ())
        if kind not in groups or groups[kind].samples != size
    ]
    title = known.title if known else dataset
    if own is not None:
        title = f"{title}: {own.title}"
    convention = CONVENTION if own is None else own.note
    return Table(title, spans, columns, (*rows, (name, *ours)), 1, (*notes, convention))


def effect_table(title: str, before: tuple[str, Mapping[str, float]], after: tuple[str, Mapping[str, float]]) -> Table:
    """Two results and their difference, in percent.

    Args:
        title: of the table.
        before, after: name of the row, and measures "kind/name" -> fraction.
    """
    from stvg_jax.data_pipeline.datasets.dataset import MEASURES

    kinds = list(dict.fromkeys(name.partition("/")[0] for name in before[1] if "/" in name))
    names = [f"{kind}/{measure}" for kind in kinds for measure in MEASURES]
    rows = [(row, *(percent(100 * measures[name]) for name in names)) for row, measures in (before, after)]
    difference = ("difference", *(f"{100 * (after[1][name] - before[1][name]):+z.1f}" for name in names))
    spans = tuple((kind.capitalize(), len(MEASURES)) for kind in kinds) if len(kinds) > 1 else ()
    return Table(title, spans, ("", *(MEASURES * len(kinds))), (*rows, difference), len(rows) + 1)


def given_interval_table(groups: Mapping[str, Summary]) -> Table:
    """Our figures for boxes alone, as if the true interval were known, in percent, and the number of samples."""
    rows = tuple(
        (kind, f"{summary.samples:,}", *(percent(100 * summary.measures[name]) for name in _GIVEN))
        for kind, summary in groups.items()
    )
    columns = ("", "samples", *(name.removeprefix("gt_") for name in _GIVEN))
    return Table("Boxes alone, within the true interval (gt_vIoU)", (), columns, rows, len(rows))
