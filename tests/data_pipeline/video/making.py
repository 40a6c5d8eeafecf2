"""Changes to the files of `tests.videos` that encoders and muxers do not make on request."""

from __future__ import annotations

import pathlib
import struct
from collections.abc import Callable, Sequence

import av
import numpy as np
from av.bitstream import BitStreamFilterContext

ONE = 1 << 16


def set_matrix(path: pathlib.Path, a: int, b: int, c: int, d: int, u: int = 0, v: int = 0) -> pathlib.Path:
    """Sets the display matrix of an MP4 in place, in units of 1/65536."""
    data = bytearray(path.read_bytes())
    # Version 0 of the box: version and flags, five times, eight reserved bytes, four 16-bit fields, then the matrix.
    place = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    data[place : place + 36] = struct.pack(">9i", a, b, u, c, d, v, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def copy(
    source: pathlib.Path,
    path: pathlib.Path,
    change: Callable[[int, av.Packet], None] = lambda number, packet: None,
    bitstream_filter: str = "",
    matrix: tuple[int, int, int, int] | None = None,
) -> pathlib.Path:
    """Copies the packets of a video into another container.

    Args:
        change: called with the number of every packet in decoding order and the packet, before it is written.
        bitstream_filter: applied to the packets.
        matrix: display matrix, in units of 1/65536.
    """
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        track = old.streams.video[0]
        stream = new.add_stream_from_template(track)
        if matrix is not None:
            a, b, c, d = matrix
            stream.set_display_matrix((a, b, 0, c, d, 0, 0, 0, 1 << 30))
        edit = BitStreamFilterContext(bitstream_filter, track, stream) if bitstream_filter else None
        number = 0
        for packet in old.demux(track):
            for changed in edit.filter(packet if packet.size else None) if edit else [packet]:
                if changed.size:
                    change(number, changed)
                    changed.stream = stream
                    new.mux(changed)
                    number += 1
    return path


def in_coding_order(
    source: pathlib.Path, path: pathlib.Path, packets: range = range(1 << 30), delay: int = 0, fps: int = 10
) -> pathlib.Path:
    """Copies a video so that these packets are shown, by their times, in the order in which they are decoded.

    With a delay of two frames their first one keeps its place among the other packets of the video.
    """

    def change(number: int, packet: av.Packet) -> None:
        step = round(1 / (fps * packet.time_base))
        packet.dts = number * step
        packet.pts = packet.dts + delay * step if number in packets else packet.pts + 2 * step

    return copy(source, path, change)


def add_box(path: pathlib.Path, parents: Sequence[bytes], box: bytes) -> pathlib.Path:
    """Appends a box to the first one on a path of names, in an MP4 whose headers come last."""
    data = bytearray(path.read_bytes())
    start, stop, places = 0, len(data), []
    for name in parents:
        while data[start + 4 : start + 8] != name:
            start += int.from_bytes(data[start : start + 4], "big")
            assert start < stop
        places.append(start)
        stop = start + int.from_bytes(data[start : start + 4], "big")
        start += 16 if name == b"stsd" else 8
    data[stop:stop] = box
    for place in places:
        length = int.from_bytes(data[place : place + 4], "big") + len(box)
        data[place : place + 4] = length.to_bytes(4, "big")
    path.write_bytes(data)
    return path


def add_clean_aperture(path: pathlib.Path, *numbers: int) -> pathlib.Path:
    """Adds the clean aperture of these eight numbers (width, height, right, down as fractions) to an H.264 MP4."""
    parents = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1")
    return add_box(path, parents, struct.pack(">I4s8i", 40, b"clap", *numbers))


def add_pixel_crop(path: pathlib.Path, left: int, right: int, top: int, bottom: int) -> pathlib.Path:
    """Adds cropping to the track of a Matroska file, over fields of it that ffmpeg does not need."""
    data = bytearray(path.read_bytes())
    names = (b"\x54\xcc", b"\x54\xdd", b"\x54\xbb", b"\x54\xaa")
    sides = zip(names, (left, right, top, bottom), strict=True)
    body = b"".join(name + b"\x81" + bytes([value]) for name, value in sides)
    # The track's description of its pictures follows the name of its codec.
    video = data.index(b"\xe0", data.index(b"\x86\x8fV_MPEG4/ISO/AVC"))
    start, size = video + 2, data[video + 1] & 0x7F
    place = start
    while place < start + size:
        length_at = place + (2 if data[place] < 0x80 else 1)
        after = length_at + 1 + (data[length_at] & 0x7F)
        if bytes(data[place:length_at]) in (b"\xb0", b"\xba", b"\x76\x70"):  # width, height, projection
            body += data[place:after]
        place = after
    gap = size - len(body) - 2
    assert gap >= 0, "no room for the cropping"
    data[start : start + size] = body + b"\xec" + bytes([0x80 | gap]) + bytes(gap)
    path.write_bytes(data)
    return path


def patch(path: pathlib.Path, after: bytes, offset: int, value: bytes) -> pathlib.Path:
    """Overwrites bytes in place, `offset` bytes after the end of the first occurrence of `after`."""
    data = bytearray(path.read_bytes())
    place = data.index(after) + len(after) + offset
    data[place : place + len(value)] = value
    path.write_bytes(data)
    return path


def turned(pictures: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """Pictures [n, height, width, 3] as a display matrix of quarter turns and mirrors moves them, pixel by pixel."""
    a, b, c, d = (int(np.sign(value)) for value in matrix)
    height, width = pictures.shape[1:3]
    y, x = np.mgrid[:height, :width]
    new_x, new_y = a * x + c * y, b * x + d * y
    new_x, new_y = new_x - new_x.min(), new_y - new_y.min()
    moved = np.empty((len(pictures), new_y.max() + 1, new_x.max() + 1, 3), np.uint8)
    moved[:, new_y, new_x] = pictures
    return moved
