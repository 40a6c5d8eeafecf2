"""Decoded frames as the ffmpeg program shows them: cropped, turned or mirrored, of one size, in RGB."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.filter import Graph
from av.sidedata.sidedata import SideDataContainer, Type

from stvg_jax.core.errors import InputError, first_line

# Smaller deviations from a quarter turn count as rounding; the ffmpeg program rounds to whole degrees.
_ROUNDING_DEGREES = 0.5
# ffmpeg's filters, by turn and mirroring. They run before the conversion to RGB, which interpolates colours: turning
# the converted picture would give other values.
_FILTERS = {
    (0, False): (),
    (0, True): (("hflip", ""),),
    (90, False): (("transpose", "cclock"),),
    (90, True): (("transpose", "clock_flip"),),
    (180, False): (("hflip", ""), ("vflip", "")),
    (180, True): (("vflip", ""),),
    (270, False): (("transpose", "clock"),),
    (270, True): (("transpose", "cclock_flip"),),
}


@dataclasses.dataclass(frozen=True)
class Crop:
    """Pixels that the container cuts off each side of decoded pictures, before they are turned."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0


@dataclasses.dataclass(frozen=True)
class Orientation:
    """A turn counter-clockwise by 0, 90, 180 or 270 degrees, followed by mirroring left for right if `mirrored`."""

    rotation: int = 0
    mirrored: bool = False


class Display:
    """Makes the displayed pictures of a video, all in the size of the first.

    Args:
        path: the video, for messages.
        first: the first displayed frame.
        crop: pixels cut off every decoded picture.

    Raises:
        InputError: pictures need another turn than quarter turns, or nothing is left after cropping.
    """

    def __init__(self, path: pathlib.Path, first: av.VideoFrame, crop: Crop) -> None:
        self._path = path
        self._crop = crop
        self.orientation = _orientation(path, first) or Orientation()
        self._size, self._first_size = "", (first.width, first.height)
        self._graph: Graph | None = None
        self._input: tuple | None = None
        if crop.left + crop.right >= first.width or crop.top + crop.bottom >= first.height:
            raise InputError(
                f"{path}: its cropping leaves nothing of pictures of {first.width} x {first.height} pixels; "
                "re-encode the video"
            )
        # Cropping keeps whole samples of colour, so that only a picture shows the size.
        self.height, self.width, _ = self.picture(first).shape
        self._size = f"{self.width}:{self.height}"

    def picture(self, frame: av.VideoFrame) -> np.ndarray:
        """The frame as shown: uint8 [height, width, 3], RGB.

        Raises:
            InputError: as `check`, or ffmpeg cannot convert the frame.
        """
        self.check(frame)
        kind = (frame.width, frame.height, frame.format.name)
        try:
            if self._graph is None or kind != self._input:
                self._graph, self._input = self._conversion(frame), kind
            self._graph.push(frame)
            return self._graph.pull().to_ndarray()
        except (FFmpegError, ValueError) as error:
            raise InputError(
                f"{self._path}: a picture of {frame.width} x {frame.height} pixels in the format {frame.format.name} "
                f"cannot be turned into RGB ({first_line(error)}); re-encode the video"
            ) from error

    def check(self, frame: av.VideoFrame) -> None:
        """Raises InputError if a frame has another orientation than the first one.

        Many H.264 and HEVC streams give it with keyframes only. Like in the ffmpeg program, other frames keep the
        orientation of those before them.
        """
        if _orientation(self._path, frame) not in (None, self.orientation):
            raise InputError(
                f"{self._path}: pictures change their orientation, which must be the same in all frames of a video; "
                "re-encode it"
            )

    def _conversion(self, frame: av.VideoFrame) -> Graph:
        graph = Graph()
        nodes = [
            graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000))
        ]
        left, right, top, bottom = dataclasses.astuple(self._crop)
        if self._crop != Crop():
            nodes.append(graph.add("crop", f"iw-{left + right}:ih-{top + bottom}:{left}:{top}"))
        turn = _FILTERS[self.orientation.rotation, self.orientation.mirrored]
        nodes += [graph.add(name, arguments) if arguments else graph.add(name) for name, arguments in turn]
        # A stream may change its size half-way; like the ffmpeg program, every frame takes the size of the first.
        if self._size and (frame.width, frame.height) != self._first_size:
            nodes.append(graph.add("scale", self._size))
        # ffmpeg itself places the conversion, before turns that the frame's own format does not allow.
        nodes.append(graph.add("format", "rgb24"))
        nodes.append(graph.add("buffersink"))
        for source, sink in zip(nodes, nodes[1:], strict=False):
            source.link_to(sink)
        graph.configure()
        return graph


def _orientation(path: pathlib.Path, frame: av.VideoFrame) -> Orientation | None:
    """The orientation that comes with a frame; None if there is none."""
    matrices = {bytes(data) for data in _side_data(frame) if data.type == Type.DISPLAYMATRIX}
    if len(matrices) > 1:
        raise _orientation_error(path, "in two ways at once")
    if matrices:
        return _from_matrix(path, np.frombuffer(matrices.pop(), np.int32))
    if frame.rotation:
        raise _orientation_error(path, f"by {frame.rotation} degrees")
    return None


def _side_data(frame: av.VideoFrame) -> list[Any]:
    """Side data of a frame, up to the first that PyAV does not know, such as the EXIF block of a photo."""
    # The frame's `side_data` fails for such data, and refers back to the frame, which delays freeing its memory.
    container = SideDataContainer.__new__(SideDataContainer)
    try:
        container.__init__(frame)  # pyright: ignore[reportCallIssue]  # the stub lacks the argument
    except ValueError:
        return list(container)[:-1]
    return list(container)


def _from_matrix(path: pathlib.Path, matrix: np.ndarray) -> Orientation:
    """The orientation of a display matrix (a, b, u, c, d, v, x, y, w): x' = ax + cy, y' = bx + dy."""
    a, b, u, c, d, v, *_ = (int(value) for value in matrix)
    # Some writers leave it empty; ffmpeg shows such pictures as they are.
    if not any((a, b, c, d)):
        return Orientation()
    rounding = math.tan(math.radians(_ROUNDING_DEGREES))
    if not (u or v):
        if max(abs(b), abs(c)) < rounding * min(abs(a), abs(d)):
            return Orientation(180 if d < 0 else 0, (a < 0) != (d < 0))
        if max(abs(a), abs(d)) < rounding * min(abs(b), abs(c)):
            return Orientation(90 if b < 0 else 270, (b < 0) == (c < 0))
    values = ", ".join(f"{value / 65536:g}" for value in (a, b, c, d))
    raise _orientation_error(path, f"by the display matrix ({values})")


def _orientation_error(path: pathlib.Path, how: str) -> InputError:
    return InputError(
        f"{path}: its pictures are to be turned {how}, and only quarter turns and mirror images are supported; "
        "re-encode it upright, with `ffmpeg -noautorotate` if the turn is a mistake"
    )
