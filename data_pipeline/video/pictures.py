"""Frames that are no video file: an array, or a folder of pictures."""

from __future__ import annotations

import numbers
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import PIL
from PIL import Image, ImageOps

from stvg_jax.core.errors import InputError, first_line, quoted
from stvg_jax.data_pipeline.video.container import MAX_PIXELS
from stvg_jax.data_pipeline.video.listing import picture_files
from stvg_jax.data_pipeline.video.reader import VideoInfo, VideoReader

IN_MEMORY = "frames in memory"
# Those of 8 bits a channel.
_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}


class ArrayReader(VideoReader):
    """Frames of an array, without a copy of them.

    Args:
        frames: uint8 [T, H, W, 3], RGB.
        fps: frames per second.

    Raises:
        InputError: an array of another type or shape, or without a frame.
    """

    def __init__(self, frames: np.ndarray, fps: float):
        if frames.dtype != np.uint8:
            raise InputError(f"frames are {frames.dtype}: must be uint8, RGB from 0 to 255")
        if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
            raise InputError(f"frames have the shape {list(frames.shape)}: must have [T, H, W, 3], T at least 1")
        self._frames = frames
        count, height, width, _ = frames.shape
        self.info = _info(pathlib.Path(IN_MEMORY), width, height, count, fps)

    def _decode(self, ids: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        yield from ((i, self._frames[i]) for i in ids)


class PicturesReader(VideoReader):
    """Pictures of a folder, in the natural order of their names ("9.png" before "10.png"), each read when asked for.

    Args:
        folder: a folder with pictures of one size.
        fps: frames per second.

    Raises:
        InputError: there is no picture, or the first one cannot be read. Others raise when they are read.
    """

    def __init__(self, folder: str | os.PathLike[str], fps: float):
        self._files = sorted(picture_files(folder), key=_natural)
        if not self._files:
            raise InputError(f"{folder}: there is no picture in this folder; give a video, or a folder with pictures")
        height, width, _ = _read_picture(self._files[0]).shape
        self.info = _info(pathlib.Path(folder), width, height, len(self._files), fps)

    def _decode(self, ids: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        for i in ids:
            picture = _read_picture(self._files[i])
            if picture.shape[:2] != (self.info.height, self.info.width):
                raise InputError(
                    f"{self._files[i]} is {picture.shape[1]}x{picture.shape[0]}, but the first picture is "
                    f"{self.info.width}x{self.info.height}; all pictures of a clip must have one size"
                )
            yield i, picture


def check_fps(fps: Any, what: str) -> float:
    """Returns the rate of frames without times of their own; raises InputError for anything that is none."""
    if fps is None:
        raise InputError(f"{what} have no times of their own: give their frames per second, such as fps=25 (--fps 25)")
    if isinstance(fps, bool) or not isinstance(fps, numbers.Real) or not 0 < float(fps) < np.inf:
        shown = quoted(fps) if isinstance(fps, str) else str(fps)[:40]
        raise InputError(f"fps {shown}: must be a positive number of frames per second")
    return float(fps)


def _info(path: pathlib.Path, width: int, height: int, count: int, fps: float) -> VideoInfo:
    timestamps = np.arange(count) / fps
    timestamps.setflags(write=False)
    return VideoInfo(path, width, height, fps, count, count / fps, 0, False, timestamps)


def _natural(path: pathlib.Path) -> tuple[list[tuple[int, int | str]], str]:
    parts = filter(None, re.split(r"([0-9]+)", path.name))
    # "1.png" and "01.png" are told apart by their text.
    return [(0, int(part)) if part[0] in "0123456789" else (1, part) for part in parts], path.name


def _read_picture(path: pathlib.Path) -> np.ndarray:
    """uint8 [h, w, 3], RGB, turned as its camera says."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(f"{path} is {image.width}x{image.height}: more than {MAX_PIXELS:,} pixels; reduce it")
            if image.mode not in _MODES:
                raise InputError(f"{path} has pixels of the kind {image.mode}; save it with 8 bits for each colour")
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, ValueError, SyntaxError, PIL.UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read as a picture: {first_line(error)}") from error
