"""The boxes of an MP4 or QuickTime file."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from stvg_jax.data_pipeline.video.display import Crop

FIRST_BOXES = (b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip")
# Largest number of boxes in a box, above that of real files: reading those of a hostile file takes time.
_MOST_BOXES = 100_000
_LARGEST_FILE = 1 << 62
_SAMPLE_ENTRY_BYTES = 78
# Tolerated difference between the length in a header and that of all frames.
_SLACK_SEC, _SLACK_FRAMES = 0.5, 5


@dataclasses.dataclass(frozen=True)
class Track:
    """A video track.

    Attributes:
        crop: cropping of its pictures.
        scales: units per second of the file's times and of its own.
        samples: number of frames with a size in the header, including hidden ones; 0 if it has none, as in fragmented
            files.
        missing: number of these without a time in the header.
        excess_sec: duration of its frames minus the length in its header; 0 if there is no length or the difference is
            only rounding.
    """

    crop: Crop = Crop()
    scales: tuple[int, int] = (1, 1)
    samples: int = 0
    missing: int = 0
    excess_sec: float = 0.0


def end(file: BinaryIO, size: int) -> int:
    """The length of the file according to its outermost boxes."""
    offset = 0
    for name, _, stop in _boxes(file, 0, size):
        # An unknown name past the first box is padding, not a box.
        if not name.isalnum():
            break
        offset = stop
    return offset


def tracks(file: BinaryIO, size: int) -> list[Track]:
    """The video tracks in the order of the file."""
    found = []
    for movie in _inside(file, (0, size), b"moov"):
        common = _scale(file, movie, b"mvhd")
        for track in _inside(file, movie, b"trak"):
            for media in _inside(file, track, b"mdia"):
                handler = next(_inside(file, media, b"hdlr"), None)
                if handler is not None and _read(file, handler, 8, 4) == b"vide":
                    scale = _scale(file, media, b"mdhd")
                    samples = _samples(file, media, scale)
                    found.append(Track(_crop(file, media), (common, scale), *samples))
    return found


def _scale(file: BinaryIO, region: tuple[int, int], name: bytes) -> int:
    """Units per second in a header; 0 if there is no such header."""
    header = next(_inside(file, region, name), None)
    return 0 if header is None else _number(file, header, *((20, 4) if _is_wide(file, header) else (12, 4)))


def _length(file: BinaryIO, media: tuple[int, int]) -> int:
    """Length of a track in its header; 0 if it is unknown."""
    header = next(_inside(file, media, b"mdhd"), None)
    if header is None:
        return 0
    place, count = (24, 8) if _is_wide(file, header) else (16, 4)
    length = _number(file, header, place, count)
    return 0 if length == (1 << 8 * count) - 1 else length


def _is_wide(file: BinaryIO, header: tuple[int, int]) -> bool:
    """True if the times of a header have 64 bits."""
    return _read(file, header, 0, 1) == b"\x01"


def _samples(file: BinaryIO, media: tuple[int, int], scale: int) -> tuple[int, int, float]:
    """`samples`, `missing` and `excess_sec` of a track."""
    table = _descend(file, media, b"minf", b"stbl")
    sizes, times = (table and next(_inside(file, table, name), None) for name in (b"stsz", b"stts"))
    if not sizes or not times:
        return 0, 0, 0.0
    data = _read(file, times, 8, times[1] - times[0])
    counts, steps = np.frombuffer(data[: len(data) // 8 * 8], ">u4").reshape(-1, 2).T.astype(np.float64)
    samples, timed, told = _number(file, sizes, 8, 4), int(counts.sum()), _length(file, media)
    excess = float(counts @ steps) - told
    # A length may leave out the delay of a decoder that reorders frames.
    slack = max(_SLACK_SEC * scale, _SLACK_FRAMES * told / max(samples, 1))
    unknown = not timed or not told or not scale or abs(excess) <= slack
    return samples, max(0, samples - timed), 0.0 if unknown else excess / scale


def _descend(file: BinaryIO, region: tuple[int, int], *names: bytes) -> tuple[int, int] | None:
    """The body of the first box at a path of names; None if there is none."""
    for name in names:
        found = next(_inside(file, region, name), None)
        if found is None:
            return None
        region = found
    return region


def _crop(file: BinaryIO, media: tuple[int, int]) -> Crop:
    """The cropping by the clean aperture, as in the ffmpeg program from version 7 on."""
    region = _descend(file, media, b"minf", b"stbl", b"stsd")
    if region is None:
        return Crop()
    entry = next(_boxes(file, region[0] + 8, region[1]), None)
    if entry is None:
        return Crop()
    body = entry[1:]
    aperture = next(_inside(file, (body[0] + _SAMPLE_ENTRY_BYTES, body[1]), b"clap"), None)
    if aperture is None:
        return Crop()
    width, height = _numbers(_read(file, body, 24, 4), 2)
    pairs = _numbers(_read(file, aperture, 0, 32), 4)
    if len(pairs) != 8 or not all(pairs[1::2]):
        return Crop()
    wide, high, right, down = (Fraction(n, d) for n, d in zip(pairs[::2], pairs[1::2], strict=True))
    left, after_left = _span(width, wide, right)
    top, after_top = _span(height, high, down)
    crop = Crop(left, width - after_left, top, height - after_top)
    return crop if min(dataclasses.astuple(crop)) >= 0 and left < after_left and top < after_top else Crop()


def _span(length: int, clean: Fraction, offset: Fraction) -> tuple[int, int]:
    """First pixel and end (one past the last) of a clean aperture around the middle of a picture."""
    middle, half = Fraction(length - 1, 2) + offset, (clean - 1) / 2
    return math.floor(middle - half), math.floor(middle + half) + 1


def _numbers(data: bytes, width: int) -> list[int]:
    return [int.from_bytes(data[i : i + width], "big", signed=width == 4) for i in range(0, len(data), width)]


def _number(file: BinaryIO, region: tuple[int, int], offset: int, count: int) -> int:
    return int.from_bytes(_read(file, region, offset, count), "big")


def _read(file: BinaryIO, region: tuple[int, int], offset: int, count: int) -> bytes:
    """`count` bytes of a box's body, fewer where it is shorter."""
    file.seek(region[0] + offset)
    return file.read(max(0, min(count, region[1] - region[0] - offset)))


def _inside(file: BinaryIO, region: tuple[int, int], name: bytes) -> Iterator[tuple[int, int]]:
    """The bodies of the boxes of one name in a region."""
    return ((start, stop) for found, start, stop in _boxes(file, *region) if found == name)


def _boxes(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, beginning of the body, end) of the boxes in a region; the last one may end beyond it."""
    for _ in itertools.repeat(None, _MOST_BOXES):
        if start + 8 > min(stop, _LARGEST_FILE):
            return
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return
        length, body = int.from_bytes(head[:4], "big"), 8
        if length == 1:
            length, body = int.from_bytes(head[8:16], "big"), 16
        # 0 means "to the end of the file".
        if length < body:
            return
        yield head[4:8], start + body, start + length
        start += length
