"""The chunks of an AVI file."""

from __future__ import annotations

from typing import BinaryIO

# Written by programs that could not go back to fill in the length.
_UNKNOWN_LENGTHS = (0, 0xFFFFFFFF)


def end(file: BinaryIO, size: int) -> int:
    """The length of the file by what its outermost chunks claim to hold; at most `size` where that is unknown."""
    offset = 0
    while offset + 8 <= size:
        file.seek(offset)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        # A large file has one such chunk for every gigabyte; anything else past the first is padding.
        if length in _UNKNOWN_LENGTHS or (head[:4] != b"RIFF" and head[:4] != b"JUNK"):
            break
        offset += 8 + length
        # Chunks begin at even places; the filling byte of the last one is often left out.
        if offset < size:
            offset += length % 2
    return offset
