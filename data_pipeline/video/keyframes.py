"""Keyframes of H.264 and HEVC, by the first picture in their packets."""

from __future__ import annotations

from collections.abc import Iterator

# Types of units that hold pictures (ITU-T H.264 table 7-1, H.265 table 7-1).
_H264_PICTURES, _H264_IDR = range(1, 6), 5
_HEVC_PICTURES, _HEVC_OPEN = range(0, 32), 21
_MOST_UNITS = 64


class KeyframeKinds:
    """Tells keyframes that pictures shown before them may follow in the file.

    Args:
        codec: ffmpeg's name of the decoder.
        extradata: what the container says about the stream, which tells how packets are divided into units.
    """

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self._codec = codec
        self._length_bytes = 0
        # Without this header units are told apart by start codes.
        place = {"h264": 4, "hevc": 21}.get(codec, 0)
        if extradata and extradata[0] == 1 and len(extradata) > place:
            self._length_bytes = (extradata[place] & 3) + 1

    def is_open(self, data: memoryview) -> bool:
        """Whether the keyframe in this packet is of the kind that an open group of pictures begins with."""
        if self._codec == "h264":
            types = (first & 31 for first in self._first_bytes(data))
            return next((kind for kind in types if kind in _H264_PICTURES), _H264_IDR) != _H264_IDR
        if self._codec == "hevc":
            types = (first >> 1 & 63 for first in self._first_bytes(data))
            return next((kind for kind in types if kind in _HEVC_PICTURES), 0) == _HEVC_OPEN
        return False

    def _first_bytes(self, data: memoryview) -> Iterator[int]:
        place = 0
        for _ in range(_MOST_UNITS):
            if self._length_bytes:
                start = place + self._length_bytes
                place = start + int.from_bytes(data[place:start], "big")
            else:
                # A unit is searched for its end in short pieces: pictures come soon, and are long.
                found = bytes(data[place : place + 4096]).find(b"\0\0\1")
                start = place = place + found + 3
                if found < 0:
                    return
            if start >= len(data):
                return
            yield data[start]
