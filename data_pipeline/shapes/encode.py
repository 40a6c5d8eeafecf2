"""Pictures into an H.264 file."""

from __future__ import annotations

import contextlib
import fractions
import os
import pathlib
import tempfile
from collections.abc import Iterable

import av
import numpy as np

_BT709 = 1
# One thread and no "mbtree" (whose assembly varies): the same pictures give the same bytes with the same x264.
_OPTIONS = {"crf": "18", "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"}


def write_video(path: str | os.PathLike[str], frames: np.ndarray, fps: int) -> None:
    """Writes an MP4 of uint8 [n, height, width, 3] RGB pictures of even size, whole or not at all."""
    pictures = (av.VideoFrame.from_ndarray(rgb, format="rgb24") for rgb in frames)
    _write(path, (p.reformat(format="yuv420p", dst_colorspace="ITU709") for p in pictures), frames.shape[1:3], fps)


def write_enlarged(path: str | os.PathLike[str], frames: np.ndarray, fps: int, factor: int) -> None:
    """Writes the video that `write_video` would, for people to look at: every side `factor` times as long.

    It is that video that is enlarged, and not the drawing, as models have learned from its colours, coded at half size.
    """
    height, width = (side * factor for side in frames.shape[1:3])
    with tempfile.TemporaryDirectory() as folder:
        small = pathlib.Path(folder) / "small.mp4"
        write_video(small, frames, fps)
        with av.open(str(small)) as container:
            decoded = container.decode(container.streams.video[0])
            enlarged = (p.reformat(width=width, height=height, interpolation="BICUBIC") for p in decoded)
            _write(path, enlarged, (height, width), fps)


def _write(path: str | os.PathLike[str], pictures: Iterable[av.VideoFrame], size: tuple[int, int], fps: int) -> None:
    path = pathlib.Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        with av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=fps, options=_OPTIONS)
            stream.height, stream.width = size
            stream.pix_fmt = "yuv420p"
            context = stream.codec_context
            context.color_primaries = context.color_trc = context.colorspace = _BT709
            for number, picture in enumerate(pictures):
                picture.pts, picture.time_base = number, fractions.Fraction(1, fps)
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        raise
