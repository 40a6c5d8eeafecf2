"""Report page of an evaluation: figures, distributions, and the best, median and worst cases in pictures.

The page is one HTML file that contains its pictures. It runs no script, and every text from a dataset is escaped.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.core.files import whole_file
from stvg_jax.eval.tables import Table
from stvg_jax.grounding.evaluation.figures import frame_figure, histogram, timeline
from stvg_jax.grounding.evaluation.page_style import STYLE
from stvg_jax.grounding.evaluation.records import Record
from stvg_jax.grounding.evaluation.table import CONVENTION
from stvg_jax.grounding.evaluation.types import AnnotatedSample

Frames = Callable[[str, list[int]], Sequence[np.ndarray] | np.ndarray]
_LENGTH_GROUPS = 4
# Should the escaping of a text fail, the browser would still run and load nothing.
_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">"
)


def write_page(
    path: Path,
    records: Sequence[Record],
    samples: Mapping[str, AnnotatedSample],
    frames: Frames,
    *,
    title: str,
    about: Sequence[str] = (),
    tables: Sequence[Table] = (),
    notes: Sequence[str] = (),
    count: int = 3,
    shown: int = 6,
    step: Callable[[], object] = lambda: None,
) -> None:
    """Writes the report page, whole or not at all.

    Args:
        path: the HTML file.
        records: all records of an evaluation, at least one.
        samples: sample id -> sample, for the true tubes.
        frames: (video, ascending frame numbers) -> frames uint8 [n, h, w, 3] RGB, of any size. If it raises InputError,
            the case is shown without pictures.
        title: heading.
        about: lines below the heading, such as the checkpoint.
        tables: tables of figures.
        notes: lines below the tables.
        count: number of best, of median and of worst cases.
        shown: number of frames of each case.
        step: called after each case.
    """
    body = [f"<h1>{html.escape(title)}</h1>", f'<div class="about">{_paragraphs(about)}</div>']
    body += [f'<div class="scroll">{table.html()}</div>' for table in (*tables, length_table(records))]
    body += [_paragraphs(notes, "note"), f'<div class="charts">{_charts(records)}</div>', _LEGEND]
    for name, cases in choose_cases(records, count).items():
        body.append(f"<h2>{name.capitalize()} <small>by vIoU</small></h2>")
        for record in cases:
            body.append(_case(record, samples[record.id], frames, shown))
            step()
    with whole_file(path) as file:
        file.write(
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{_POLICY}'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{html.escape(title)}</title>'
            f"\n<style>{STYLE}</style></head>\n<body>\n"
        )
        file.writelines(part + "\n" for part in body)
        file.write("</body></html>\n")


_LEGEND = f"""<p class="note">In the pictures below: <i class="true"></i> dashed, the true box;
<i class="predicted"></i> solid, the predicted box within the predicted interval; dotted white, the predicted box
outside it. Frames count from 0; intervals are given by the first and the last, both included. Marks on the axis: the
frames in the pictures. {html.escape(CONVENTION)}</p>"""


def _paragraphs(lines: Sequence[str], name: str = "") -> str:
    return "".join(f'<p class="{name}">{html.escape(line)}</p>' for line in lines)


def _charts(records: Sequence[Record]) -> str:
    metrics = [record.metrics for record in records]
    return "".join(
        histogram([getattr(m, field) for m in metrics], f"samples by {name}")
        for field, name in (("tiou", "tIoU"), ("viou", "vIoU"), ("gt_viou", "gt_vIoU"))
    )


def _case(record: Record, sample: AnnotatedSample, frames: Frames, shown: int) -> str:
    chosen = choose_frames(record, shown)
    try:
        pictures = frames(record.video, chosen)
    except InputError as error:
        strip = f'<p class="note">No pictures: {html.escape(str(error))}</p>'
    else:
        figures = (frame_figure(record, sample, f, rgb) for f, rgb in zip(chosen, pictures, strict=True))
        strip = f'<div class="frames">{"".join(figures)}</div>'
    m = record.metrics
    measures = (("vIoU", m.viou), ("tIoU", m.tiou), ("gt_vIoU", m.gt_viou))
    values = "".join(f"<span><b>{value:.3f}</b> {name}</span>" for name, value in measures)
    # Otherwise a tIoU below 1 would look like an error.
    exact = record.prediction.interval == record.true_interval
    values += "<span>equal intervals; the measures leave out the truth's last frame</span>" if exact else ""
    facts = f"sample {record.id} · {record.kind} · {record.video}, {record.width}×{record.height}"
    return (
        f'<article class="case"><div class="head"><p class="sentence">{_marked(record.sentence, record.subject)}</p>'
        f'<p class="measures">{values}</p></div>\n{timeline(record, chosen)}\n{strip}\n'
        f'<p class="facts">{html.escape(facts)}</p></article>'
    )


def _marked(sentence: str, subject: str) -> str:
    """Escaped sentence with the first occurrence of its subject marked."""
    found = re.search(rf"(?<!\w){re.escape(subject)}(?!\w)", sentence, re.IGNORECASE) if subject.strip() else None
    if not found:
        return html.escape(sentence)
    before, inside, after = sentence[: found.start()], found.group(), sentence[found.end() :]
    return f"{html.escape(before)}<mark>{html.escape(inside)}</mark>{html.escape(after)}"


def length_table(records: Sequence[Record]) -> Table:
    """Means over up to four groups of about equal size, by the length of the true tube."""
    lengths = np.array([r.true_interval[1] - r.true_interval[0] for r in records])
    bounds = np.unique(np.quantile(lengths, np.linspace(0, 1, _LENGTH_GROUPS + 1)[1:], method="inverted_cdf"))
    group = np.searchsorted(bounds, lengths)
    rows = []
    for k in range(len(bounds)):
        inside = group == k
        low, high = lengths[inside].min(), lengths[inside].max()
        chosen = [r.metrics for r, yes in zip(records, inside, strict=True) if yes]
        means = (np.mean([getattr(m, name) for m in chosen]) for name in ("tiou", "viou", "gt_viou"))
        span = f"{low}" if low == high else f"{low} to {high}"
        rows.append((f"{span} frames", f"{len(chosen):,}", *(f"{100 * mean:.1f}" for mean in means)))
    columns = ("", "samples", "m_tIoU", "m_vIoU", "gt_m_vIoU")
    return Table("By length of the true tube", (), columns, tuple(rows), 0)


def choose_cases(records: Sequence[Record], count: int) -> dict[str, list[Record]]:
    """The best, median and worst records, `count` of each, or a third of all if there are fewer; none twice.

    They are ranked by vIoU, then tIoU, then gt_vIoU, then id. The best begin with the best one, the worst with the
    worst one.
    """

    def goodness(record: Record) -> tuple:
        m = record.metrics
        return -m.viou, -m.tiou, -m.gt_viou, len(record.id), record.id

    ranked = sorted(records, key=goodness)
    if len(ranked) < 3:
        return {"best": ranked}
    count = min(count, len(ranked) // 3)
    middle = (len(ranked) - count) // 2
    return {"best": ranked[:count], "median": ranked[middle : middle + count], "worst": ranked[: -count - 1 : -1]}


def choose_frames(record: Record, count: int) -> list[int]:
    """Up to `count` sampled frames, evenly spread from the earlier start to the later end of both intervals.

    Sampled frames are stored in any case, and their boxes are predicted, not interpolated.
    """
    sampled = record.prediction.frames
    first = min(record.true_interval[0], record.prediction.interval[0])
    end = max(record.true_interval[1], record.prediction.interval[1])
    wanted = first + (np.arange(count) + 0.5) / count * (end - first) - 0.5
    nearest = np.abs(sampled[:, None] - wanted).argmin(axis=0)
    return sampled[np.unique(nearest)].tolist()
