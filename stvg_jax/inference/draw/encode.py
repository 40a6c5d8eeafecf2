"""RGB arrays into an MP4."""

from __future__ import annotations

import contextlib
import fractions
import os
import pathlib
from collections.abc import Iterable

import av
import numpy as np

_BT709 = 1


def write_h264(
    path: str | os.PathLike[str], frames: Iterable[tuple[int, np.ndarray]], fps: float | fractions.Fraction
) -> int:
    """Writes `frames` as an H.264 MP4 of exactly their size, whole or not at all, and returns how many there were.

    One frame is held at a time. Even sizes give yuv420p, which everything plays; H.264 has no other way to keep an odd
    width or height than yuv444p.

    Args:
        path: where the video goes; until it is complete it has a temporary name beside that.
        frames: (position, uint8 [H, W, 3] RGB), positions increasing, in units of 1 / `fps` from the beginning.
        fps: average frames per second.

    Raises:
        ValueError: no frames, frames of different sizes, or a frame that is not uint8 [H, W, 3].
    """
    path = pathlib.Path(path)
    partial = path.with_name(path.name + ".partial")
    rate = fractions.Fraction(fps).limit_denominator(1001)
    count = 0
    try:
        with av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream, shape = None, None
            for position, rgb in frames:
                if stream is None:
                    shape = rgb.shape
                    stream = _h264_stream(container, rgb, rate)
                if rgb.shape != shape or rgb.dtype != np.uint8:
                    raise ValueError(f"frame {position} is {rgb.dtype} {rgb.shape}, the first one uint8 {shape}")
                for packet in stream.encode(_video_frame(rgb, position, rate, stream.pix_fmt)):
                    container.mux(packet)
                count += 1
            if stream is None:
                raise ValueError(f"no frames to write to {path}")
            for packet in stream.encode():
                container.mux(packet)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        raise
    return count


def _h264_stream(container, rgb: np.ndarray, rate: fractions.Fraction):
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"a frame has shape [H, W, 3], this one has {rgb.shape}")
    height, width = rgb.shape[:2]
    # Without "mbtree", whose assembly gives now and then another stream for the same frames.
    options = {"crf": "18", "preset": "veryfast", "x264-params": "mbtree=0"}
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.width, stream.height = width, height
    stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
    stream.codec_context.time_base = 1 / rate
    # Said in the file, so that players of any resolution turn the colours back the way they were made.
    stream.codec_context.color_primaries = _BT709
    stream.codec_context.color_trc = _BT709
    stream.codec_context.colorspace = _BT709
    return stream


def _video_frame(rgb: np.ndarray, position: int, rate: fractions.Fraction, pix_fmt: str) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    frame = frame.reformat(format=pix_fmt, dst_colorspace="ITU709")
    frame.pts = int(position)
    frame.time_base = 1 / rate
    return frame
