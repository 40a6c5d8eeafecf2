"""Animated pictures, whose formats mark their end: GIF and APNG."""

from __future__ import annotations

import mmap
from typing import BinaryIO

GIF_SIGNATURES = (b"GIF87a", b"GIF89a")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GIF_EXTENSION, _GIF_IMAGE, _GIF_END = 0x21, 0x2C, 0x3B


def gif_damage(file: BinaryIO) -> tuple[str, int]:
    """In what way a GIF is damaged, and how many whole pictures it has.

    Returns:
        A clause, "" where the file has its end (what follows the end is no matter); and the number of pictures.
    """
    whole = 0
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            place = 13 + _colours(data[10])
            while data[place] != _GIF_END:
                if data[place] == _GIF_EXTENSION:
                    place = _after_blocks(data, place + 2)
                elif data[place] == _GIF_IMAGE:
                    place = _after_blocks(data, place + 11 + _colours(data[place + 9]))
                    whole += 1
                elif data[place] == 0:  # an empty block too many, which decoders pass over
                    place += 1
                else:
                    return f"the file has bytes of no known kind from byte {place:,} on", whole
        except IndexError:
            return "the file is cut short, it has no end mark", whole
    return "", whole


def _colours(flags: int) -> int:
    """The bytes of the table of colours that follows such flags."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: mmap.mmap, place: int) -> int:
    while length := data[place]:
        place += 1 + length
    return place + 1


def png_damage(file: BinaryIO, size: int) -> str:
    """A clause that says in what way a PNG is damaged; "" where it has its end and as many frames as it claims."""
    place, claimed, frames = len(PNG_SIGNATURE), 0, 0
    while place + 12 <= size:
        file.seek(place)
        head = file.read(12)
        length, name = int.from_bytes(head[:4], "big"), head[4:8]
        if name == b"acTL":
            claimed = int.from_bytes(head[8:12], "big")
        frames += name == b"fcTL"
        place += 12 + length
        if name == b"IEND" and place <= size:
            missing = claimed - frames
            return f"the file lacks {missing:,} of the {claimed:,} frames of its header" if missing > 0 else ""
    return "the file is cut short, it has no end mark"
