"""GIF files of RGB frames, for places that show no videos."""

from __future__ import annotations

import itertools
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from PIL import Image

from stvg_jax.core.files import whole_path

# More would make files of many megabytes.
_LEAST_GAP_SEC = 0.1
_MOST_WIDTH = 480


def write_gif(
    path: str | os.PathLike[str], frames: Iterable[np.ndarray], times_sec: Sequence[float] | np.ndarray
) -> None:
    """Writes frames as a GIF that repeats: at most ten in a second, at most 480 pixels wide. Whole or not at all.

    Args:
        path: the picture.
        frames: n frames, uint8 [H, W, 3] RGB.
        times_sec: float [n + 1], increasing: start of each frame, and end of the last one.

    Raises:
        ValueError: more or fewer frames than times.
    """
    times = np.asarray(times_sec, np.float64)
    chosen = _spaced(times[:-1])
    ends = np.append(times[chosen[1:]], times[-1])
    # The format counts in hundredths of a second, and players slow down what is faster than two.
    durations = np.maximum(np.rint((ends - times[chosen]) * 100).astype(int), 2) * 10
    pictures = _pictures(frames, set(chosen), len(times) - 1)
    first = next(pictures, None)
    if first is None:
        raise ValueError("no frames")
    with whole_path(pathlib.Path(path)) as partial:
        first.save(partial, format="GIF", save_all=True, append_images=pictures, duration=durations.tolist(), loop=0)


def _spaced(starts_sec: np.ndarray) -> list[int]:
    """Positions of frames that are far enough from the one before."""
    chosen: list[int] = []
    for position, start in enumerate(starts_sec.tolist()):
        # A tolerance, for times that were rounded.
        if not chosen or start - starts_sec[chosen[-1]] >= _LEAST_GAP_SEC - 1e-3:
            chosen.append(position)
    return chosen


def _pictures(frames: Iterable[np.ndarray], chosen: set[int], count: int) -> Iterator[Image.Image]:
    done = 0
    for position, rgb in zip(itertools.count(), frames, strict=False):
        done += 1
        if position in chosen:
            picture = Image.fromarray(rgb)
            scale = min(1.0, _MOST_WIDTH / picture.width)
            size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
            yield (picture if scale == 1 else picture.resize(size, Image.Resampling.LANCZOS)).quantize(
                128, dither=Image.Dither.NONE
            )
    if done != count:
        raise ValueError(f"{done} frames for {count} times")
