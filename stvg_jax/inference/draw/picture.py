"""One page about an answer: the sentence, some frames with their boxes, and the scores over time."""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from stvg_jax.inference.draw.colours import BOX_COLOUR, TRUTH_COLOUR
from stvg_jax.inference.draw.text import load_font, one_line, text_image
from stvg_jax.inference.tube import Tube

_EMPHASIS_COLOUR = (214, 0, 50)
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
) -> None:
    """Writes a PNG, 1400 pixels wide: the sentence, some frames with their boxes, and the scores over time.

    Args:
        tube: the answer.
        frames: what to show, uint8 [height, width, 3] RGB by frame number, for instance of `picture_frame_ids`.
        path: the PNG to write, whole or not at all.
        truth_xyxy: boxes known to be right, float [4] pixels by frame number, drawn dashed in green.
        true_interval: (first, one past the last) frame, drawn as a bar in green below that of the answer.

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
    shown = sorted(frames)
    per_row = min(len(shown), _PER_ROW)
    rows = -(-len(shown) // per_row)
    gap, margin = 10, 48
    cell_width = min((_PAGE_WIDTH - 2 * margin + gap) / per_row - gap, 320 * tube.width / tube.height)
    cell_height = cell_width * tube.height / tube.width
    strip_top = 24 + header.shape[0] + 46
    scores_top = strip_top + rows * (cell_height + 30) + 20
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
        _show_frame(axes, tube, frame_id, frames[frame_id], cell_width, truth)
    plot_width = _PAGE_WIDTH - 2 * margin - 150
    if true_interval is not None:
        _plot_intervals(place(margin, scores_top + 10, plot_width, bars_height - 24), tube, true_interval)
    upper = place(margin, scores_top + bars_height + 10, plot_width, 180)
    lower = place(margin, scores_top + bars_height + 215, plot_width, 110)
    _plot_scores(upper, tube, shown)
    _plot_boundaries(lower, tube)

    path = pathlib.Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        figure.savefig(partial, format="png", dpi=_DPI)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _in_words(tube: Tube) -> str:
    length = tube.end_sec - tube.start_sec
    name = one_line(pathlib.PurePath(tube.video).name)
    return (
        f"from {tube.start_sec:.2f} s to {tube.end_sec:.2f} s ({length:.2f} s, frames {tube.start_frame} to "
        f"{tube.end_frame - 1})  ·  {name}, {tube.width}×{tube.height}, {tube.fps:.4g} frames/s"
    )


def _rgb(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    red, green, blue = (c / 255 for c in colour)
    return red, green, blue


def _show_frame(
    axes: Axes, tube: Tube, frame_id: int, rgb: np.ndarray, pixels: float, truth: np.ndarray | None
) -> None:
    image = Image.fromarray(rgb)
    image.thumbnail((math.ceil(2 * pixels), 10_000))
    # The extent keeps boxes in the video's own pixels whatever the picture's size.
    axes.imshow(np.asarray(image), extent=(0, tube.width, tube.height, 0), aspect="auto", interpolation="antialiased")
    inside = tube.start_frame <= frame_id < tube.end_frame
    if (box := tube.box_at(frame_id)) is not None:
        colour = _rgb(BOX_COLOUR) if inside else (1.0, 1.0, 1.0)
        _add_box(axes, box, colour, "-" if inside else ":", 2.4 if inside else 1.3)
    if truth is not None:
        _add_box(axes, truth, _rgb(TRUTH_COLOUR), "--", 1.6)
    axes.set(xlim=(0, tube.width), ylim=(tube.height, 0), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=_rgb(BOX_COLOUR) if inside else "0.75", linewidth=1.6 if inside else 0.8)
    axes.set_title(
        f"{frame_id / tube.fps:.2f} s", fontsize=10, pad=4, color="black" if inside else "0.5",
        fontweight="bold" if inside else "normal",
    )  # fmt: skip


def _add_box(axes: Axes, box: np.ndarray, colour, style: str, width: float) -> None:
    x1, y1, x2, y2 = (float(v) for v in box)
    axes.add_patch(
        Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linestyle=style, linewidth=width)
    )


def _time_limits(tube: Tube) -> tuple[float, float]:
    return tube.clip[0] / tube.fps, max(tube.clip[1], tube.clip[0] + 1) / tube.fps


def _prepare_time_axis(axes: Axes, tube: Tube) -> None:
    """The clip in seconds, the chosen interval shaded. Seconds are frames over the average rate, as for the curves."""
    axes.axvspan(tube.start_frame / tube.fps, tube.end_frame / tube.fps, color=_rgb(BOX_COLOUR), alpha=0.13, lw=0)
    axes.set_xlim(*_time_limits(tube))
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def _plot_intervals(axes: Axes, tube: Tube, true_interval: tuple[int, int]) -> None:
    intervals = (("predicted", (tube.start_frame, tube.end_frame), BOX_COLOUR), ("true", true_interval, TRUTH_COLOUR))
    for row, (name, interval, colour) in enumerate(intervals):
        start, end = (frame / tube.fps for frame in interval)
        axes.barh(row, end - start, left=start, height=0.7, color=_rgb(colour))
        label = f"{name} {start:.2f} to {end:.2f} s"
        axes.text(1.008, row, label, transform=axes.get_yaxis_transform(), fontsize=9, va="center")
    axes.set(xlim=_time_limits(tube), ylim=(1.5, -0.5), yticks=[])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelbottom=False)


def _plot_scores(axes: Axes, tube: Tube, shown: list[int]) -> None:
    _prepare_time_axis(axes, tube)
    seconds = tube.scores.frames / tube.fps
    mark = "." if len(seconds) <= 160 else ""
    axes.plot(seconds, tube.scores.actioness, color="tab:blue", marker=mark, linewidth=1.6, label="actioness")
    axes.plot(seconds, tube.scores.sampling, color="tab:orange", marker=mark, linewidth=1.3, label="sampling score")
    axes.plot(
        seconds, np.full(len(seconds), -0.07), "|", color="0.35", markersize=6, clip_on=False, label="sampled frames"
    )
    shown_seconds = np.asarray(shown) / tube.fps
    axes.plot(
        shown_seconds, np.full(len(shown), 1.07), "v", color="0.35", markersize=5, clip_on=False, label="frames shown"
    )
    axes.set(ylim=(-0.12, 1.14), yticks=[0, 0.5, 1])
    axes.tick_params(labelbottom=False)
    _legend(axes)


def _plot_boundaries(axes: Axes, tube: Tube) -> None:
    _prepare_time_axis(axes, tube)
    scores = tube.scores
    highest = 0.0
    for which, style in ((0, "-"), (1, ":")):
        chosen = scores.passes == which
        if not chosen.any():
            continue
        seconds = scores.frames[chosen] / tube.fps
        for name, values, colour in (("start", scores.start, "tab:green"), ("end", scores.end, "tab:purple")):
            values = values[chosen]
            highest = max(highest, float(values.max()))
            axes.plot(seconds, values, style, color=colour, linewidth=1.4, label=f"{name}, pass {which + 1}")
    axes.set_ylim(0, 1.1 * highest if highest > 0 else 1)
    axes.set_xlabel("seconds", fontsize=10)
    axes.locator_params(axis="y", nbins=3)
    _legend(axes)


def _legend(axes: Axes) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.005, 1.03), fontsize=9, frameon=False, borderaxespad=0.2)
