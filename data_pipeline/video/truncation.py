"""Whether a file was cut short, by the lengths that its outermost elements claim; ffmpeg itself does not tell."""

from __future__ import annotations

import os
import pathlib
from typing import BinaryIO


def count_missing_bytes(path: pathlib.Path) -> int:
    """How many bytes an MP4 or Matroska file lacks at its end, by what its outermost elements claim to hold."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if head[:4] == b"\x1a\x45\xdf\xa3":
            return max(0, _matroska_end(file) - size)
        if head[4:8] in (b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return max(0, _mp4_end(file, size) - size)
    return 0


def _mp4_end(file: BinaryIO, size: int) -> int:
    offset = 0
    while offset + 8 <= size:
        file.seek(offset)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        # 0 means "to the end of the file"; an unknown name past the first box is padding, not a box.
        if length < 8 or not header[4:8].isalnum():
            break
        offset += length
    return offset


def _matroska_end(file: BinaryIO) -> int:
    file.seek(4)
    header_length, _ = _ebml_size(file)
    file.seek(header_length, os.SEEK_CUR)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    length, unknown = _ebml_size(file)
    return 0 if unknown else file.tell() + length


def _ebml_size(file: BinaryIO) -> tuple[int, bool]:
    """A variable-length size at the file's position, and whether it stands for "unknown"."""
    first = file.read(1)
    if not first or not first[0]:
        return 0, True
    extra = 8 - first[0].bit_length()
    bits = 7 * (extra + 1)
    value = int.from_bytes(first + file.read(extra), "big") & ((1 << bits) - 1)
    return value, value == (1 << bits) - 1
