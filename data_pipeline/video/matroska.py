"""The elements of a Matroska or WebM file."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import BinaryIO

from stvg_jax.data_pipeline.video.display import Crop

SIGNATURE = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_INFO, _UNIT = b"\x15\x49\xa9\x66", b"\x2a\xd7\xb1"
_TRACKS, _TRACK, _TYPE, _VIDEO = b"\x16\x54\xae\x6b", b"\xae", b"\x83", b"\xe0"
_CROP_SIDES = {b"\x54\xcc": "left", b"\x54\xdd": "right", b"\x54\xbb": "top", b"\x54\xaa": "bottom"}
_VIDEO_TYPE = 1
# Largest number of elements in an element, above that of real files: reading those of a hostile file takes time.
_MOST_ELEMENTS = 100_000


def end(file: BinaryIO) -> int:
    """The length of the file according to its segment; 0 if it is unknown."""
    segment = _segment(file)
    return segment[1] if segment and segment[1] is not None else 0


def has_unit(file: BinaryIO, size: int) -> bool:
    """True if times have a unit: a millisecond unless the file gives another."""
    return all(_number(file, *body) for body in _in_segment(file, size, _INFO, _UNIT))


def crops(file: BinaryIO, size: int) -> list[Crop]:
    """The cropping of the video tracks, in the order of the file."""
    found = []
    for track in _in_segment(file, size, _TRACKS, _TRACK):
        kind = next((_number(file, *body) for name, *body in _elements(file, *track) if name == _TYPE), 0)
        if kind == _VIDEO_TYPE:
            sides = {
                _CROP_SIDES[name]: _number(file, *body)
                for video in _inside(file, track, _VIDEO)
                for name, *body in _elements(file, *video)
                if name in _CROP_SIDES
            }
            found.append(Crop(**sides))
    return found


def _segment(file: BinaryIO) -> tuple[int, int | None] | None:
    """Beginning and end of the body of the segment; the end is None if it is unknown."""
    file.seek(len(SIGNATURE))
    length = _size(file)
    if length is None:
        return None
    file.seek(length, 1)
    if file.read(4) != _SEGMENT:
        return None
    length = _size(file)
    return file.tell(), None if length is None else file.tell() + length


def _in_segment(file: BinaryIO, size: int, *names: bytes) -> Iterator[tuple[int, int]]:
    segment = _segment(file)
    if segment is not None:
        yield from _inside(file, (segment[0], min(size, segment[1] or size)), *names)


def _inside(file: BinaryIO, region: tuple[int, int], name: bytes, *names: bytes) -> Iterator[tuple[int, int]]:
    """The bodies of the elements on a path of names in a region."""
    for found, start, stop in _elements(file, *region):
        if found == name:
            if names:
                yield from _inside(file, (start, stop), *names)
                # Such an element occurs once, before the pictures.
                return
            yield start, stop


def _elements(file: BinaryIO, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, beginning of the body, end) of the elements in a region, up to the first of unknown length."""
    for _ in itertools.repeat(None, _MOST_ELEMENTS):
        if start >= stop:
            return
        file.seek(start)
        name = file.read(1)
        if not name or not name[0]:
            return
        name += file.read(8 - name[0].bit_length())
        length = _size(file)
        if length is None:
            return
        body = file.tell()
        yield name, body, min(body + length, stop)
        start = body + length


def _number(file: BinaryIO, start: int, stop: int) -> int:
    file.seek(start)
    return int.from_bytes(file.read(min(stop - start, 8)), "big")


def _size(file: BinaryIO) -> int | None:
    """A variable-length size at the file's position; None where it stands for "unknown"."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    extra = 8 - first[0].bit_length()
    bits = 7 * (extra + 1)
    value = int.from_bytes(first + file.read(extra), "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value
