"""MP4 files of RGB frames."""

from __future__ import annotations

import fractions
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from stvg_jax.core.errors import InputError, first_line
from stvg_jax.core.files import whole_path

_BT709 = 1
_LONGEST_SIDE = 16384
# Longest gap between frames that FFmpeg accepts.
_MOST_TICKS = 2**31 - 2
# Ticks per second that every player should support; the first exact one is used.
_LEAST_SCALE, _USUAL_SCALES = 1000, (1000, 90_000, 1_000_000)


def write_h264(
    path: str | os.PathLike[str], frames: Iterable[np.ndarray], times_sec: Sequence[float] | np.ndarray
) -> None:
    """Writes frames as an H.264 MP4, each at its own time, whole or not at all. Keeps one frame in memory at a time.

    Args:
        path: the video; it has a temporary name in the same folder until it is complete.
        frames: n frames, uint8 [H, W, 3] RGB; H and W even, because all players support yuv420p only.
        times_sec: float [n + 1], increasing: start of each frame, and end of the last one. The first frame of the file
            is shown at 0. Times are kept to a microsecond, or as closely as the format allows if frames are more than
            half an hour apart.

    Raises:
        ValueError: no frames, more or fewer frames than times, frames of different or odd sizes, or a frame that is
            not uint8 [H, W, 3].
        InputError: pictures of over 16,384 pixels a side, or a failure of the encoder.
    """
    path = pathlib.Path(path)
    ticks, scale = _ticks(times_sec)
    try:
        # Without this option FFmpeg would choose a multiple of the scale, with too many ticks in a long gap.
        options = {"movflags": "+faststart", "video_track_timescale": str(scale)}
        with (
            whole_path(path) as partial,
            av.open(str(partial), "w", format="mp4", options=options) as container,
        ):
            encode(container, frames, ticks, scale, _h264_stream)
    except FFmpegError as error:
        raise InputError(f"{path.name} cannot be written as H.264: {first_line(error)}") from error


def encode(
    container, frames: Iterable[np.ndarray], ticks: np.ndarray, scale: int, add_stream: Callable[..., Any]
) -> None:
    """Encodes frames into an open container.

    Args:
        container: the container.
        frames: n frames, uint8 [H, W, 3] RGB.
        ticks: int64 [n + 1], increasing: start of each frame, and end of the last one.
        scale: ticks per second.
        add_stream: function of the container, the shape of the first frame, `ticks` and `scale` that adds a stream.

    Raises:
        ValueError: no frames, more or fewer frames than times, or frames that differ in size or are not uint8.
    """
    stream, shape, count = None, None, 0
    lengths = dict(zip(ticks[:-1].tolist(), np.diff(ticks).tolist(), strict=True))

    def mux(packets) -> None:
        for packet in packets:
            packet.duration = lengths[packet.pts]
            container.mux(packet)

    for rgb in frames:
        if stream is None:
            shape = rgb.shape
            stream = add_stream(container, shape, ticks, scale)
        if rgb.shape != shape or rgb.dtype != np.uint8:
            raise ValueError(f"frame {count} is {rgb.dtype} {rgb.shape}, the first one has shape {shape}")
        if count == len(lengths):
            raise ValueError(f"more than {count} frames for {count} times")
        mux(stream.encode(_video_frame(rgb, int(ticks[count]), scale)))
        count += 1
    if count != len(lengths) or stream is None:
        raise ValueError(f"{count} frames for {len(lengths)} times")
    mux(stream.encode())


def _ticks(times_sec: Sequence[float] | np.ndarray) -> tuple[np.ndarray, int]:
    """Times since the first one in ticks, int64 [n], increasing; and the number of ticks per second."""
    times = np.asarray(times_sec, np.float64) - times_sec[0]
    gaps = np.diff(times)
    finest = max(1, int(_MOST_TICKS / max(gaps.max(), 1e-9)) - 1)
    rate = fractions.Fraction(1 / max(float(np.median(gaps)), 1e-9)).limit_denominator(1001).numerator
    scales = [rate * math.ceil(_LEAST_SCALE / rate)] if rate else []
    exact = (s for s in (*scales, *_USUAL_SCALES) if s <= finest and _is_exact(times, s))
    shortest = float(gaps[gaps > 0].min(initial=1))
    scale = next(exact, min(finest, max(_USUAL_SCALES[-1], math.ceil(1 / shortest))))
    return ordered_ticks(times, scale), scale


def ordered_ticks(times_sec: np.ndarray, scale: int) -> np.ndarray:
    """Increasing times in ticks, int64 [n]; those less than a tick apart keep their order, one tick apart."""
    order = np.arange(len(times_sec))
    return np.maximum.accumulate(np.rint(times_sec * scale).astype(np.int64) - order) + order


def _is_exact(times_sec: np.ndarray, scale: int) -> bool:
    ticks = np.rint(times_sec * scale)
    return bool(np.abs(times_sec * scale - ticks).max() < 1e-3 and np.diff(ticks).min() > 0)


def _h264_stream(container, shape: tuple[int, ...], ticks: np.ndarray, scale: int):
    if len(shape) != 3 or shape[2] != 3 or shape[0] % 2 or shape[1] % 2:
        raise ValueError(f"a frame has shape [H, W, 3], H and W even; this one has {shape}")
    if max(shape) > _LONGEST_SIDE:
        raise InputError(f"{shape[1]} x {shape[0]} pixels are too many for H.264, which takes {_LONGEST_SIDE} a side")
    # Without B-frames, times need no edit list. Without "mbtree", whose assembly varies, the same frames always give
    # the same stream.
    options = {"crf": "18", "preset": "veryfast", "bf": "0", "x264-params": "mbtree=0"}
    # Only the H.264 level follows from this rate.
    rate = min(max((len(ticks) - 1) * scale / max(int(ticks[-1]), 1), 1), 240)
    stream = container.add_stream("libx264", rate=fractions.Fraction(rate).limit_denominator(1001), options=options)
    set_pictures(stream, shape, scale)
    return stream


def set_pictures(stream, shape: tuple[int, ...], scale: int) -> None:
    """Sets size, colours and ticks per second of a new stream."""
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = fractions.Fraction(1, scale)
    # Written into the file, because players would otherwise guess the colour space from the size.
    stream.codec_context.color_primaries = _BT709
    stream.codec_context.color_trc = _BT709
    stream.codec_context.colorspace = _BT709


def _video_frame(rgb: np.ndarray, pts: int, scale: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
    frame.pts = pts
    frame.time_base = fractions.Fraction(1, scale)
    return frame
