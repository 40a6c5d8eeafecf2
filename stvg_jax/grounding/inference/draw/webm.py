"""WebM files of RGB frames, for pages."""

from __future__ import annotations

import fractions
import os
import pathlib
from collections.abc import Iterable, Sequence

import av
import numpy as np
from av.error import FFmpegError

from stvg_jax.core.errors import InputError, first_line
from stvg_jax.core.files import whole_path
from stvg_jax.grounding.inference.draw.mp4 import encode, ordered_ticks, set_pictures

# WebM's own.
_TICKS_PER_SEC = 1000
_LONGEST_SIDE = 16383


def write_vp9(
    path: str | os.PathLike[str], frames: Iterable[np.ndarray], times_sec: Sequence[float] | np.ndarray
) -> None:
    """Writes frames as a VP9 WebM, each at its own time to a millisecond; else as `write_h264`."""
    path = pathlib.Path(path)
    ticks = ordered_ticks(np.asarray(times_sec, np.float64) - times_sec[0], _TICKS_PER_SEC)
    try:
        with whole_path(path) as partial, av.open(str(partial), "w", format="webm") as container:
            encode(container, frames, ticks, _TICKS_PER_SEC, _vp9_stream)
    except FFmpegError as error:
        raise InputError(f"{path.name} cannot be written as VP9: {first_line(error)}") from error


def _vp9_stream(container, shape: tuple[int, ...], ticks: np.ndarray, scale: int):
    if max(shape) > _LONGEST_SIDE:
        raise InputError(f"{shape[1]} x {shape[0]} pixels are too many for VP9, which takes {_LONGEST_SIDE} a side")
    options = {"crf": "30", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}
    rate = min(max((len(ticks) - 1) * scale / max(int(ticks[-1]), 1), 1), 240)
    stream = container.add_stream("libvpx-vp9", rate=fractions.Fraction(rate).limit_denominator(1001), options=options)
    set_pictures(stream, shape, scale)
    return stream
