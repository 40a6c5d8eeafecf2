"""Figures of the report page as SVG, which scales, uses the reader's fonts and works with screen readers."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from stvg_jax.grounding.evaluation.records import Record
from stvg_jax.grounding.evaluation.types import AnnotatedSample

_LONGEST_SIDE = 420
_BINS = 20


def picture(rgb: np.ndarray) -> str:
    """Small JPEG of a frame, uint8 [h, w, 3] RGB, as a data URI."""
    image = Image.fromarray(rgb)
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def frame_figure(record: Record, sample: AnnotatedSample, frame: int, rgb: np.ndarray) -> str:
    """Figure of a sampled frame with the true and the predicted box.

    Args:
        record: record of the sample.
        sample: the sample, for its true tube.
        frame: one of the record's sampled frames.
        rgb: uint8 [h, w, 3], of any size; it is stretched to the annotated size, and boxes are in pixels of that size.
    """
    width, height = sample.width, sample.height
    true_start, true_end = sample.tube
    start, end = record.prediction.interval
    is_true, is_predicted = true_start <= frame < true_end, start <= frame < end
    index = int(np.searchsorted(record.prediction.frames, frame))
    boxes = _box(record.prediction.boxes_xyxy[index], "predicted" if is_predicted else "unclaimed")
    # The true box is dashed and on top, so that both can be seen where they coincide.
    boxes += _box(sample.boxes_xyxy[frame - true_start], "true") if is_true else ""
    marks = [name for name, on in (("true", is_true), ("predicted", is_predicted)) if on]
    dots = "".join(f'<i class="{name}"></i>' for name in marks)
    label = f"frame {frame}, {' and '.join(marks) or 'in neither interval'}"
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">'
        f'<image href="{picture(rgb)}" width="{width}" height="{height}" preserveAspectRatio="none"/>{boxes}</svg>'
        f"<figcaption>{frame} {dots}</figcaption></figure>"
    )


def _box(xyxy: np.ndarray, name: str) -> str:
    x1, y1, x2, y2 = (float(v) for v in xyxy)
    corners = f'x="{x1:.1f}" y="{y1:.1f}" width="{max(x2 - x1, 0):.1f}" height="{max(y2 - y1, 0):.1f}"'
    rim = "" if name == "true" else f'<rect class="rim" {corners}/>'
    return f'{rim}<rect class="{name}" {corners}/>'


def timeline(record: Record, shown: Sequence[int]) -> str:
    """Bars of the true and the predicted interval over the sampled part of the video, and curves of recorded scores."""
    sampled = record.prediction.frames
    intervals = (record.true_interval, record.prediction.interval)
    axis_start = min(int(sampled[0]), *(i[0] for i in intervals))
    axis_end = max(int(sampled[-1]) + 1, *(i[1] for i in intervals))

    def at(frame: float) -> float:
        return 100 * (frame - axis_start) / max(axis_end - axis_start, 1)

    rows = ""
    for name, (start, end) in zip(("true", "predicted"), intervals, strict=True):
        bar = f'<rect class="{name}" x="{at(start):.2f}%" y="2" width="{at(end) - at(start):.2f}%" height="12" rx="2"/>'
        rows += _row(
            f"{name} {start}–{end - 1}", 16, f'<rect class="track" width="100%" y="2" height="12" rx="2"/>{bar}'
        )
    if record.scores is not None:
        curves = "".join(
            f'<polyline class="{name}" points="{_points([at(f) for f in sampled], getattr(record.scores, name))}"/>'
            for name in ("sampling", "actioness")
        )
        plot = f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" width="100%" height="48">{curves}</svg>'
        names = '<span class="actioness">actioness</span><br><span class="sampling">sampling score</span>'
        rows += _row(names, 48, f'<rect class="track" width="100%" height="48" rx="2"/>{plot}', escaped=True)
    marks = "".join(f'<line class="shown" x1="{at(f):.2f}%" x2="{at(f):.2f}%" y1="0" y2="5"/>' for f in shown)
    ticks = "".join(
        f'<text x="{at(f):.2f}%" y="17" text-anchor="{anchor}">{f}</text>'
        for f, anchor in _ticks(axis_start, axis_end - 1)
    )
    return f'<div class="timeline">{rows}{_row("frame", 20, marks + ticks)}</div>'


def _row(label: str, height: int, content: str, escaped: bool = False) -> str:
    label = label if escaped else html.escape(label)
    return f'<span class="label">{label}</span><svg width="100%" height="{height}" aria-hidden="true">{content}</svg>'


def _points(xs: Sequence[float], scores: np.ndarray) -> str:
    return " ".join(f"{x:.2f},{98 - 96 * float(y):.2f}" for x, y in zip(xs, scores, strict=True))


def _ticks(first: int, last: int) -> list[tuple[int, str]]:
    """Frames of the ticks, each with the anchor of its text: the first, the last, and round numbers between them."""
    step = next(s for power in range(9) for n in (1, 2, 5) if (s := n * 10**power) >= (last - first) / 8)
    inner = range(-(-first // step) * step, last, step)
    room = (last - first) / 14
    between = [(f, "middle") for f in inner if f - first > room and last - f > room]
    return [(first, "start"), *between, *([(last, "end")] if last > first else [])]


def histogram(values: Sequence[float], name: str) -> str:
    """Histogram of values in [0, 1], with their mean."""
    counts, edges = np.histogram(np.clip(values, 0, 1), bins=_BINS, range=(0, 1))
    tallest, width, height = max(int(counts.max()), 1), 400, 110
    bars = ""
    for k, count in enumerate(counts):
        tall = height * count / tallest
        bars += (
            f'<rect class="bar" x="{k * width / _BINS + 1:.1f}" y="{height - tall + 14:.1f}" '
            f'width="{width / _BINS - 2:.1f}" height="{tall:.1f}">'
            f"<title>{edges[k]:.2f} to {edges[k + 1]:.2f}: {count:,} samples</title></rect>"
        )
    mean = float(np.mean(values))
    axis = "".join(
        f'<text x="{x * width:.0f}" y="138" text-anchor="middle">{x:g}</text>' for x in (0, 0.25, 0.5, 0.75, 1)
    )
    x = mean * width
    anchor, dx = ("start", 4) if mean < 0.5 else ("end", -4)
    return (
        f'<figure><svg viewBox="-12 0 {width + 24} 142" role="img" aria-label="histogram of {name}, mean {mean:.3f}">'
        f'<line class="axis" x1="0" x2="{width}" y1="{height + 14}" y2="{height + 14}"/>{bars}{axis}'
        f'<line class="mean" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height + 14}"/>'
        f'<text x="{x + dx:.1f}" y="10" text-anchor="{anchor}">mean {mean:.3f}</text></svg>'
        f"<figcaption>{html.escape(name)}</figcaption></figure>"
    )
