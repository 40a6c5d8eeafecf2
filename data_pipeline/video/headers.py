"""Facts in the structure of a file that ffmpeg does not report: whether it was cut short, and cropping."""

from __future__ import annotations

import dataclasses
import mmap
import pathlib
from typing import BinaryIO

from stvg_jax.data_pipeline.video import matroska, mp4

_GIF_SIGNATURES = (b"GIF87a", b"GIF89a")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GIF_EXTENSION, _GIF_IMAGE, _GIF_END = 0x21, 0x2C, 0x3B
# Written by programs that could not go back to fill in the length.
_UNKNOWN_LENGTHS = (0, 0xFFFFFFFF)
_NO_UNIT = "its header gives a time scale of {}"
# ffmpeg takes larger ones for 1.
_LARGEST_SCALE = (1 << 31) - 1


@dataclasses.dataclass(frozen=True)
class Headers:
    """Facts of one file; empty where its kind is unknown.

    Attributes:
        damage: a clause about the damage of the file; "" if there is none.
        tracks: the video tracks in the order of the file.
        whole: number of complete pictures; None if this kind of file does not tell.
    """

    damage: str = ""
    tracks: tuple[mp4.Track, ...] = ()
    whole: int | None = None

    def track(self, number: int) -> mp4.Track:
        """The video track with this place among the video tracks."""
        return self.tracks[number] if number < len(self.tracks) else mp4.Track()


def read_headers(path: pathlib.Path) -> Headers:
    """The facts of a file, from its elements; never fails."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == matroska.SIGNATURE:
            unit = "" if matroska.has_unit(file, size) else _NO_UNIT.format(0)
            damage = _cut_short(matroska.end(file) - size) or unit
            return Headers(damage, tuple(map(mp4.Track, matroska.crops(file, size))))
        if head[4:8] in mp4.FIRST_BOXES:
            tracks = tuple(mp4.tracks(file, size))
            wrong = [scale for track in tracks for scale in track.scales if not 0 < scale <= _LARGEST_SCALE]
            damage = _cut_short(mp4.end(file, size) - size) or (_NO_UNIT.format(wrong[0]) if wrong else "")
            if not damage and (missing := max((track.missing for track in tracks), default=0)):
                damage = f"the file holds {missing:,} frames fewer than its header says"
            return Headers(damage, tracks)
        if head[:4] == b"RIFF":
            return Headers(_cut_short(_riff_end(file, size) - size))
        if head[:6] in _GIF_SIGNATURES:
            damage, whole = _gif_damage(file)
            return Headers(damage, whole=whole)
        if head[:8] == _PNG_SIGNATURE:
            return Headers(_png_damage(file, size))
    return Headers()


def _cut_short(missing_bytes: int) -> str:
    return f"the file is cut short by {missing_bytes:,} bytes" if missing_bytes > 0 else ""


def _riff_end(file: BinaryIO, size: int) -> int:
    """The length of an AVI file according to its outermost chunks; at most `size` if it is unknown."""
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


def _gif_damage(file: BinaryIO) -> tuple[str, int]:
    """A clause about the damage of a GIF, "" if it has its end mark, and its number of complete pictures."""
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


def _png_damage(file: BinaryIO, size: int) -> str:
    """A clause about the damage of a PNG; "" if it has its end mark and as many frames as it claims."""
    place, claimed, frames = len(_PNG_SIGNATURE), 0, 0
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
