"""Picture of an answer: the sentence, some frames with their boxes, and the scores over time."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from PIL import Image

from stvg_jax.core.files import whole_path
from stvg_jax.grounding.inference.draw.pixels import BOX_COLOUR, TRUTH_COLOUR
from stvg_jax.grounding.inference.draw.plots import Times, plot_boundaries, plot_intervals, plot_scores, rgb
from stvg_jax.grounding.inference.draw.text import load_font, one_line, text_image
from stvg_jax.grounding.inference.tube import Tube

_EMPHASIS_COLOUR = (214, 0, 50)
# Line styles of boxes.
_INSIDE = {"edgecolor": rgb(BOX_COLOUR), "linestyle": "-", "linewidth": 2.4}
_OUTSIDE = {"edgecolor": (1.0, 1.0, 1.0), "linestyle": ":", "linewidth": 1.3}
_TRUE = {"edgecolor": rgb(TRUTH_COLOUR), "linestyle": "--", "linewidth": 1.6}
_PAGE_WIDTH, _DPI, _PER_ROW = 1400, 100, 8
_MARGIN, _GAP = 48, 10  # pixels at the sides of the page, and between frames


def picture_frame_ids(tube: Tube, count: int = 7) -> list[int]:
    """Up to `count` frame numbers of the clip to show, increasing.

    These are the first and the last frame of the interval, evenly spaced frames between them, and a frame before and
    after the interval if there is any; more of those if the interval is short.
    """
    clip_start, clip_end = tube.clip
    start = min(max(tube.start_frame, clip_start), max(clip_end - 1, clip_start))
    end = min(max(tube.end_frame, start + 1), max(clip_end, start + 1))
    before, after = range(clip_start, start), range(end, clip_end)
    contexts = [span for span in (before, after) if span] if count >= 4 else []
    inside = _spread(range(start, end), count - len(contexts))
    spare = count - len(inside)
    chosen = set(inside)
    for k, span in enumerate(contexts):
        share = -(-spare // (len(contexts) - k))
        picked = [span[(2 * n + 1) * len(span) // (2 * share)] for n in range(min(share, spare))]
        chosen.update(picked)
        spare -= len(set(picked))
    return sorted(chosen)


def _spread(span: range, count: int) -> list[int]:
    """Up to `count` evenly spaced members of `span`, both ends included; for a count of one, the middle."""
    if count <= 1:
        return [span[len(span) // 2]]
    return sorted({span[round(k * (len(span) - 1) / (count - 1))] for k in range(count)})


def draw_picture(
    tube: Tube,
    frames: Mapping[int, np.ndarray],
    path: str | os.PathLike[str],
    true_boxes_xyxy: Mapping[int, np.ndarray] | None = None,
    true_interval: tuple[int, int] | None = None,
    seconds: Callable[[int], float] | None = None,
) -> None:
    """Writes a PNG, 1400 pixels wide: the sentence, some frames with their boxes, and the scores over time.

    Args:
        tube: the answer.
        frames: number -> frame to show, uint8 [height, width, 3] RGB, for instance those of `picture_frame_ids`.
        path: the PNG to write, whole or not at all.
        true_boxes_xyxy: frame number -> true box, float [4] in pixels, drawn dashed in green.
        true_interval: (start, end) frames, drawn as a green bar below that of the answer.
        seconds: frame -> its start; for one past the last, the end of the video. None for times at the average rate.

    Raises:
        ValueError: `frames` is empty.
    """
    if not frames:
        raise ValueError("no frames to show")
    header = text_image(
        tube.sentence,
        tube.subject,
        load_font(24, bold=True),
        _PAGE_WIDTH - 2 * 40,
        max_lines=3,
        colours=((20, 20, 20), _EMPHASIS_COLOUR),
        background=(255, 255, 255, 255),
    )
    at = Times(tube, seconds or tube.even_seconds)
    layout = _Layout.of(tube, len(frames), header.shape[0], bars=true_interval is not None)
    figure = Figure(figsize=(_PAGE_WIDTH / _DPI, layout.height / _DPI), dpi=_DPI, facecolor="white")
    figure.figimage(header, 40, layout.height - 20 - header.shape[0])
    summary_y = 1 - (36 + header.shape[0]) / layout.height
    summary = figure.text(_MARGIN / _PAGE_WIDTH, summary_y, _in_words(tube), fontsize=11.5, va="center")
    summary.set_parse_math(False)
    for k, frame_id in enumerate(sorted(frames)):
        truth = None if true_boxes_xyxy is None else true_boxes_xyxy.get(frame_id)
        axes = layout.add_axes(figure, *layout.cell(k))
        _show_frame(axes, tube, frame_id, frames[frame_id], layout.cell_width, truth, at)
    legend = layout.add_axes(figure, _MARGIN, layout.legend_top, _PAGE_WIDTH - 2 * _MARGIN, 30)
    _explain_boxes(legend, bool(true_boxes_xyxy))
    _plot_over_time(figure, layout, tube, sorted(frames), true_interval, at)
    _save(figure, pathlib.Path(path))


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Sizes and positions on the page, in pixels from its upper left corner."""

    per_row: int
    cell_width: float
    cell_height: float
    strip_top: int
    legend_top: float
    scores_top: float
    bars_height: int
    height: int

    @classmethod
    def of(cls, tube: Tube, frame_count: int, header_height: int, *, bars: bool) -> _Layout:
        per_row = min(frame_count, _PER_ROW)
        rows = -(-frame_count // per_row)
        widest = 320 * tube.width / tube.height
        cell_width = min((_PAGE_WIDTH - 2 * _MARGIN + _GAP) / per_row - _GAP, widest)
        cell_height = cell_width * tube.height / tube.width
        strip_top = 24 + header_height + 46
        legend_top = strip_top + rows * (cell_height + 30) + 4
        scores_top = legend_top + 46
        bars_height = 64 if bars else 0
        height = math.ceil(scores_top + bars_height + 380)
        return cls(per_row, cell_width, cell_height, strip_top, legend_top, scores_top, bars_height, height)

    def cell(self, k: int) -> tuple[float, float, float, float]:
        """Left, top, width and height of the k-th frame shown."""
        used = self.per_row * (self.cell_width + _GAP) - _GAP
        left = (_PAGE_WIDTH - used) / 2 + (k % self.per_row) * (self.cell_width + _GAP)
        top = self.strip_top + 20 + (k // self.per_row) * (self.cell_height + 30)
        return left, top, self.cell_width, self.cell_height

    def add_axes(self, figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
        """New axes in a rectangle of the page."""
        bottom = 1 - (top + height) / self.height
        return figure.add_axes((left / _PAGE_WIDTH, bottom, width / _PAGE_WIDTH, height / self.height), zorder=1)


def _plot_over_time(
    figure: Figure, layout: _Layout, tube: Tube, shown: list[int], true_interval: tuple[int, int] | None, at: Times
) -> None:
    width, top = _PAGE_WIDTH - 2 * _MARGIN - 150, layout.scores_top
    if true_interval is not None:
        bars = layout.add_axes(figure, _MARGIN, top + 10, width, layout.bars_height - 24)
        plot_intervals(bars, tube, true_interval, at)
    upper = layout.add_axes(figure, _MARGIN, top + layout.bars_height + 10, width, 180)
    lower = layout.add_axes(figure, _MARGIN, top + layout.bars_height + 215, width, 110)
    plot_scores(upper, tube, shown, at)
    plot_boundaries(lower, tube, at)


def _save(figure: Figure, path: pathlib.Path) -> None:
    with whole_path(path) as partial:
        figure.savefig(partial, format="png", dpi=_DPI)


def _in_words(tube: Tube) -> str:
    name = one_line(pathlib.PurePath(tube.video).name)
    length, last = tube.clock(tube.end_sec - tube.start_sec), tube.end_frame - 1
    return (
        f"from {tube.clock(tube.start_sec)} to {tube.clock(tube.end_sec)} "
        f"({length}, frames {tube.start_frame} to {last}, both included)"
        f"  ·  {name}, {tube.width}×{tube.height}, {tube.fps:.4g} frames/s"
    )


def _show_frame(
    axes: Axes, tube: Tube, frame_id: int, image: np.ndarray, pixels: float, truth: np.ndarray | None, at: Times
) -> None:
    small = Image.fromarray(image)
    small.thumbnail((math.ceil(2 * pixels), 10_000))
    # The extent makes pixels of the video the unit of the axes, whatever the size of the picture.
    axes.imshow(np.asarray(small), extent=(0, tube.width, tube.height, 0), aspect="auto", interpolation="antialiased")
    inside = tube.start_frame <= frame_id < tube.end_frame
    if (box := tube.box_at(frame_id)) is not None:
        _add_box(axes, box, _INSIDE if inside else _OUTSIDE)
    if truth is not None:
        _add_box(axes, truth, _TRUE)
    axes.set(xlim=(0, tube.width), ylim=(tube.height, 0), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=rgb(BOX_COLOUR) if inside else "0.75", linewidth=1.6 if inside else 0.8)
    axes.set_title(
        f"{frame_id}  ·  {tube.clock(at.seconds(frame_id))}", fontsize=10, pad=4, color="black" if inside else "0.5",
        fontweight="bold" if inside else "normal",
    )  # fmt: skip


def _add_box(axes: Axes, box: np.ndarray, style: Mapping[str, Any]) -> None:
    x1, y1, x2, y2 = (float(v) for v in box)
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, **style))


def _explain_boxes(axes: Axes, has_truth: bool) -> None:
    """Legend of the lines in the frames above, on grey so that white ones can be seen."""
    axes.set_axis_off()
    named = [("box in the answer", _INSIDE), ("box before or after it", _OUTSIDE)]
    named += [("true box", _TRUE)] if has_truth else []
    handles: list[Artist] = [Patch(fill=False, label=name, **style) for name, style in named]
    frame = {"marker": "s", "markersize": 13, "markerfacecolor": "none", "markeredgecolor": rgb(BOX_COLOUR)}
    name = "rim, bold number and time: frame in the answer"
    handles.append(Line2D([], [], linestyle="none", label=name, **frame))
    axes.legend(
        handles=handles, loc="center", ncols=len(handles), fontsize=9, facecolor="0.35", labelcolor="white",
        framealpha=1, edgecolor="none", borderpad=0.5, handlelength=2.4, handleheight=1.2, columnspacing=2.5,
    )  # fmt: skip
