"""One page about an answer: the sentence, some frames with their boxes, and the scores over time."""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from PIL import Image

from stvg_jax.grounding.inference.draw.colours import BOX_COLOUR, TRUTH_COLOUR
from stvg_jax.grounding.inference.draw.plots import Times, plot_boundaries, plot_intervals, plot_scores, rgb
from stvg_jax.grounding.inference.draw.text import load_font, one_line, text_image
from stvg_jax.grounding.inference.tube import Tube

_EMPHASIS_COLOUR = (214, 0, 50)
# Lines of boxes.
_INSIDE = {"edgecolor": rgb(BOX_COLOUR), "linestyle": "-", "linewidth": 2.4}
_OUTSIDE = {"edgecolor": (1.0, 1.0, 1.0), "linestyle": ":", "linewidth": 1.3}
_TRUE = {"edgecolor": rgb(TRUTH_COLOUR), "linestyle": "--", "linewidth": 1.6}
_PAGE_WIDTH, _DPI, _PER_ROW = 1400, 100, 8


def picture_frame_ids(tube: Tube, count: int = 7) -> list[int]:
    """Up to `count` frame numbers of the clip worth showing, increasing.

    First and last frame of the interval, evenly spaced ones between, and a frame of the time before and after it
    where there is any; more of those where the interval is shorter than that.
    """
    first, last = tube.clip
    start = min(max(tube.start_frame, first), max(last - 1, first))
    end = min(max(tube.end_frame, start + 1), max(last, start + 1))
    before, after = range(first, start), range(end, last)
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
    """`count` evenly spaced members of `span` with its ends, fewer where it has fewer; the middle for one."""
    if count <= 1:
        return [span[len(span) // 2]]
    return sorted({span[round(k * (len(span) - 1) / (count - 1))] for k in range(count)})


def draw_picture(
    tube: Tube,
    frames: Mapping[int, np.ndarray],
    path: str | os.PathLike[str],
    truth_xyxy: Mapping[int, np.ndarray] | None = None,
    true_interval: tuple[int, int] | None = None,
    seconds: Callable[[int], float] | None = None,
) -> None:
    """Writes a PNG, 1400 pixels wide: the sentence, some frames with their boxes, and the scores over time.

    Args:
        tube: the answer.
        frames: what to show, uint8 [height, width, 3] RGB by frame number, for instance of `picture_frame_ids`.
        path: the PNG to write, whole or not at all.
        truth_xyxy: boxes known to be right, float [4] pixels by frame number, drawn dashed in green.
        true_interval: (first, one past the last) frame, drawn as a bar in green below that of the answer.
        seconds: when a frame begins and, for the one past the last, when the video ends. By the average rate when None.

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
    shown = sorted(frames)
    per_row = min(len(shown), _PER_ROW)
    rows = -(-len(shown) // per_row)
    gap, margin = 10, 48
    cell_width = min((_PAGE_WIDTH - 2 * margin + gap) / per_row - gap, 320 * tube.width / tube.height)
    cell_height = cell_width * tube.height / tube.width
    strip_top = 24 + header.shape[0] + 46
    legend_top = strip_top + rows * (cell_height + 30) + 4
    scores_top = legend_top + 46
    bars_height = 0 if true_interval is None else 64
    height = math.ceil(scores_top + bars_height + 380)

    figure = Figure(figsize=(_PAGE_WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)

    def place(left: float, top: float, width: float, tall: float) -> Axes:
        return figure.add_axes(
            (left / _PAGE_WIDTH, 1 - (top + tall) / height, width / _PAGE_WIDTH, tall / height), zorder=1
        )

    figure.figimage(header, 40, height - 20 - header.shape[0])
    words = figure.text(
        margin / _PAGE_WIDTH, 1 - (36 + header.shape[0]) / height, _in_words(tube), fontsize=11.5, va="center"
    )
    words.set_parse_math(False)
    used = per_row * (cell_width + gap) - gap
    for k, frame_id in enumerate(shown):
        left = (_PAGE_WIDTH - used) / 2 + (k % per_row) * (cell_width + gap)
        axes = place(left, strip_top + 20 + (k // per_row) * (cell_height + 30), cell_width, cell_height)
        truth = None if truth_xyxy is None else truth_xyxy.get(frame_id)
        _show_frame(axes, tube, frame_id, frames[frame_id], cell_width, truth, at)
    _explain_boxes(place(margin, legend_top, _PAGE_WIDTH - 2 * margin, 30), bool(truth_xyxy))
    plot_width = _PAGE_WIDTH - 2 * margin - 150
    if true_interval is not None:
        plot_intervals(place(margin, scores_top + 10, plot_width, bars_height - 24), tube, true_interval, at)
    upper = place(margin, scores_top + bars_height + 10, plot_width, 180)
    lower = place(margin, scores_top + bars_height + 215, plot_width, 110)
    plot_scores(upper, tube, shown, at)
    plot_boundaries(lower, tube, at)
    _save(figure, pathlib.Path(path))


def _save(figure: Figure, path: pathlib.Path) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        figure.savefig(partial, format="png", dpi=_DPI)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


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
    # The extent keeps boxes in the video's own pixels whatever the picture's size.
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
    """The lines of the frames above. On grey, as white ones could not be seen on the page."""
    axes.set_axis_off()
    named = [("box in the answer", _INSIDE), ("box before or after it", _OUTSIDE)]
    named += [("true box", _TRUE)] if has_truth else []
    handles: list[Artist] = [Rectangle((0, 0), 1, 1, fill=False, label=name, **style) for name, style in named]
    frame = {"marker": "s", "markersize": 13, "markerfacecolor": "none", "markeredgecolor": rgb(BOX_COLOUR)}
    name = "rim, bold number and time: frame in the answer"
    handles.append(Line2D([], [], linestyle="none", label=name, **frame))
    axes.legend(
        handles=handles, loc="center", ncols=len(handles), fontsize=9, facecolor="0.35", labelcolor="white",
        framealpha=1, edgecolor="none", borderpad=0.5, handlelength=2.4, handleheight=1.2, columnspacing=2.5,
    )  # fmt: skip
