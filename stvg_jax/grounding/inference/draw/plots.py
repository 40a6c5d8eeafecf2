"""Plots over the time of a clip: intervals, scores, and probabilities of start and end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np
from matplotlib.axes import Axes

from stvg_jax.grounding.inference.draw.pixels import BOX_COLOUR, TRUTH_COLOUR
from stvg_jax.grounding.inference.tube import Tube


def rgb(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    """A colour in the form that Matplotlib takes, 0 to 1."""
    red, green, blue = (c / 255 for c in colour)
    return red, green, blue


@dataclasses.dataclass(frozen=True)
class Times:
    """Times of the frames of an answer's video.

    Attributes:
        tube: the answer.
        seconds: frame -> its start; for one past the last, the end of the video.
    """

    tube: Tube
    seconds: Callable[[int], float]

    def __call__(self, frames: Iterable[int]) -> np.ndarray:
        """Starts of n frames in seconds, float64 [n]."""
        return np.array([self.seconds(int(frame)) for frame in frames])

    @property
    def limits(self) -> tuple[float, float]:
        """Start and end of the clip in seconds."""
        start, end = self.tube.clip
        return self.seconds(start), self.seconds(max(end, start + 1))


def _prepare_time_axis(axes: Axes, tube: Tube, at: Times, label: str | None = None) -> None:
    """Time axis over the clip in seconds, with the predicted interval shaded."""
    interval = at((tube.start_frame, tube.end_frame))
    axes.axvspan(*interval, color=rgb(BOX_COLOUR), alpha=0.13, lw=0, label=label)
    axes.set_xlim(*at.limits)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def plot_intervals(axes: Axes, tube: Tube, true_interval: tuple[int, int], at: Times) -> None:
    """Bars of the predicted and the true interval, (start, end) frames, with their first and last frames in words."""
    intervals = (("predicted", (tube.start_frame, tube.end_frame), BOX_COLOUR), ("true", true_interval, TRUTH_COLOUR))
    for row, (name, interval, colour) in enumerate(intervals):
        start, end = at(interval)
        axes.barh(row, end - start, left=start, height=0.7, color=rgb(colour))
        label = f"{name}: frames {interval[0]} to {interval[1] - 1}"
        axes.text(1.008, row, label, transform=axes.get_yaxis_transform(), fontsize=9, va="center")
    axes.set(xlim=at.limits, ylim=(1.5, -0.5), yticks=[])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelbottom=False)


def plot_scores(axes: Axes, tube: Tube, shown: list[int], at: Times) -> None:
    """Curves of actioness and sampling score, with marks for the sampled frames and for those of `shown`."""
    _prepare_time_axis(axes, tube, at, "the answer")
    seconds = at(tube.scores.frames)
    mark = "." if len(seconds) <= 160 else ""
    axes.plot(seconds, tube.scores.actioness, color="tab:blue", marker=mark, linewidth=1.6, label="actioness")
    axes.plot(seconds, tube.scores.sampling, color="tab:orange", marker=mark, linewidth=1.3, label="sampling score")
    axes.plot(
        seconds, np.full(len(seconds), -0.07), "|", color="0.35", markersize=6, clip_on=False, label="sampled frames"
    )
    shown_seconds = at(shown)
    axes.plot(
        shown_seconds, np.full(len(shown), 1.07), "v", color="0.35", markersize=5, clip_on=False, label="frames shown"
    )
    axes.set(ylim=(-0.12, 1.14), yticks=[0, 0.5, 1])
    axes.tick_params(labelbottom=False)
    _legend(axes)


def plot_boundaries(axes: Axes, tube: Tube, at: Times) -> None:
    """Curves of the probabilities of start and end, one pair for each pass."""
    _prepare_time_axis(axes, tube, at)
    scores = tube.scores
    highest = 0.0
    for pass_index, style in ((0, "-"), (1, ":")):
        chosen = scores.passes == pass_index
        if not chosen.any():
            continue
        seconds = at(scores.frames[chosen])
        for name, values, colour in (("start", scores.start, "tab:green"), ("end", scores.end, "tab:purple")):
            values = values[chosen]
            highest = max(highest, float(values.max()))
            axes.plot(seconds, values, style, color=colour, linewidth=1.4, label=f"{name}, pass {pass_index}")
    axes.set_ylim(0, 1.1 * highest if highest > 0 else 1)
    axes.set_xlabel("seconds", fontsize=10)
    axes.locator_params(axis="y", nbins=3)
    _legend(axes)


def _legend(axes: Axes) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.005, 1.03), fontsize=9, frameon=False, borderaxespad=0.2)
