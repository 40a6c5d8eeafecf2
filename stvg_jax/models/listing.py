"""The catalogue of checkpoints for people and for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from stvg_jax.core.cache import cache_directory
from stvg_jax.core.progress import size_text
from stvg_jax.models.catalogue import Record
from stvg_jax.models.keeping import folder_of, is_here, read_note

_DATASETS = {
    "hcstvg1": "HC-STVG v1",
    "hcstvg2": "HC-STVG v2",
    "vidstg": "VidSTG",
    "shapes": "shapes",
    "didemo": "DiDeMo",
    "lsmdc": "LSMDC",
    "msrvtt": "MSR-VTT",
    "msvd": "MSVD",
}
_HEADS = ("name", "system", "trained for", "pixels", "file", "m_tIoU", "m_vIoU", "R@1", "licence")


def as_json(record: Record) -> dict[str, Any]:
    """A record with what is on this machine, as JSON values."""
    fetched = record.kind != "builtin" and is_here(record.name)
    note = None if record.kind == "builtin" or cache_directory() is None else read_note(record.name)
    return {
        **dataclasses.asdict(record),
        "scores": {kind: dict(zip(_measures(kind), values, strict=True)) for kind, values in record.scores.items()},
        "source": record.source,
        "here": record.kind == "builtin" or fetched,
        "folder": str(folder_of(record.name)) if fetched else None,
        "noted": None if note is None else dataclasses.asdict(note),
    }


def text_table(records: Sequence[Record]) -> str:
    """Aligned table for a terminal, with what is on this machine."""
    rows = [(*_HEADS, "here"), *((*_cells(record), _state(record)) for record in records)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def markdown_table(records: Sequence[Record]) -> str:
    """Table for a page, with the place of each file."""
    heads = (*_HEADS, "from")
    rows = [[f"`{cells[0]}`", *cells[1:], _place(record)] for record in records for cells in [_cells(record)]]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)) + "\n"


def details(record: Record) -> str:
    """Everything about one record, for a terminal."""
    known = as_json(record)
    scores = (
        f"{kind}: {', '.join(f'{name} {value}' for name, value in values.items() if value is not None)}"
        for kind, values in known["scores"].items()
    )
    note = known["noted"] or {}
    parts = {
        "system": record.system,
        "kind": record.kind,
        "note": record.note,
        "trained for": _DATASETS.get(record.dataset, ""),
        "resolution": f"{record.resolution} pixels" if record.resolution else "",
        "published": "; ".join(scores),
        "licence": record.licence,
        "page": record.page,
        "file": record.source,
        "revision": record.revision or note.get("revision", ""),
        "SHA-256": record.sha256 or note.get("sha256", ""),
        "size": size_text(record.size) if record.size else "",
        "here": known["folder"] or _state(record),
    }
    return "\n".join([record.name, *(f"  {name:<12} {value}" for name, value in parts.items() if value)])


def _measures(kind: str) -> tuple[str, ...]:
    from stvg_jax.data_pipeline.datasets.caption_lists import RETRIEVAL_MEASURES, TEXT_TO_VIDEO
    from stvg_jax.data_pipeline.datasets.dataset import MEASURES

    return RETRIEVAL_MEASURES if kind == TEXT_TO_VIDEO else MEASURES


def _cells(record: Record) -> tuple[str, ...]:
    from stvg_jax.data_pipeline.datasets.caption_lists import TEXT_TO_VIDEO

    # Sentences that are questions are measured apart; the papers compare by the others.
    grounding = record.scores.get("declarative", (None, None))[:2]
    retrieval = record.scores.get(TEXT_TO_VIDEO, (None,))[:1]
    return (
        record.name,
        record.system,
        _DATASETS.get(record.dataset, "") or record.note,
        str(record.resolution or ""),
        size_text(record.size) if record.size else "",
        *("" if value is None else f"{value:.1f}" for value in (*grounding, *retrieval)),
        record.licence,
    )


def _place(record: Record) -> str:
    if record.repository is not None:
        return f"[{record.repository}](https://huggingface.co/{record.repository})"
    if record.url or record.by_hand:
        return f"[{'fetched' if record.url else 'by hand'}]({record.url or record.by_hand})"
    return "comes with the library"


def _state(record: Record) -> str:
    if record.kind == "builtin":
        return "built in"
    if is_here(record.name):
        return "yes"
    return "by hand" if record.by_hand else "no"
