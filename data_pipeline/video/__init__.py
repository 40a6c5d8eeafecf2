"""Exact frames of video files as RGB arrays, counted from 0 in display order.

`open_video` reads the packets once, without decoding them, and makes a table of presentation times. The table has the
number of frames and the keyframes, so that any frame can be reached by a seek and recognised by its time; an average
frame rate is never used. If times cannot be trusted, frames are counted by decoding. Damage is an error, never a
substitute frame.
"""

from __future__ import annotations

import os
import pathlib

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.video.decord_reader import DecordReader, import_decord
from stvg_jax.data_pipeline.video.pyav_reader import PyAVReader
from stvg_jax.data_pipeline.video.reader import VideoInfo, VideoReader

__all__ = ["DECODERS", "VideoInfo", "VideoReader", "open_video"]

DECODERS = ("pyav", "decord")


def open_video(path: str | os.PathLike, decoder: str = "pyav", allow_partial: bool = False) -> VideoReader:
    """Opens a video file for reading frames by number.

    Args:
        path: a local video file.
        decoder: "pyav", or "decord", which must be installed and is refused for files that it misreads.
        allow_partial: accept a damaged or cut-short file and show the frames before the first bad one. The whole file
            is decoded once to find it.

    Raises:
        InputError: the file is missing, empty, not a video, or no frame can be decoded; it is cut short or its first
            frame is damaged, without `allow_partial`; the decoder is unknown, not installed or unfit for the file.
            Later damage raises when it is reached while reading, unless `allow_partial` has excluded it.
    """
    if decoder not in DECODERS:
        raise InputError(f"unknown decoder {decoder!r}; choose one of {', '.join(DECODERS)}")
    if decoder == "decord":
        decord = import_decord()
    source = _checked_file(path)
    reader = PyAVReader(source, allow_partial)
    if decoder == "pyav":
        return reader
    with reader:
        return DecordReader(decord, reader)


def _checked_file(path: str | os.PathLike) -> pathlib.Path:
    source = pathlib.Path(path)
    if not source.exists():
        raise InputError(f"{source}: no such file; give the path of a video file")
    if not source.is_file():
        raise InputError(f"{source}: not a file; give the path of a video file")
    if not os.access(source, os.R_OK):
        raise InputError(f"{source}: no permission to read this file; change its permissions or copy it")
    if source.stat().st_size == 0:
        raise InputError(f"{source}: the file is empty (0 bytes); copy or download it again")
    return source
