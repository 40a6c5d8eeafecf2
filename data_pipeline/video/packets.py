"""The packets of a track, which describe its frames without decoding."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.format import Flags

from stvg_jax.data_pipeline.video.container import demux, open_container, video_stream

# Other formats have no presentation times, and ffmpeg guesses them.
_FORMATS_WITH_TIMES = {"mov", "matroska", "mpegts", "flv"}
# A file in these formats is whole from its first packet; a recorded stream may begin within one.
_FORMATS_WITH_INDEX = {"mov", "matroska"}
# Their headers have the length; elsewhere ffmpeg estimates it from the packets or the bit rate.
_FORMATS_WITH_LENGTH = {"matroska", "flv", "asf"}
# Header durations are rounded and may count the last frame differently; losing more than this is damage.
_DURATION_SLACK_SEC = 0.5
# Types of units that hold pictures (ITU-T H.264 table 7-1, H.265 table 7-1).
_H264_PICTURES, _H264_IDR = range(1, 6), 5
_HEVC_PICTURES, _HEVC_OPEN = range(0, 32), 21
_MOST_UNITS = 64


@dataclasses.dataclass(frozen=True)
class Packets:
    """The packets of one video track in decoding order; every array has one entry per packet.

    Attributes:
        number: place of the track among the video tracks of the file.
        size: (width, height) in the header, (0, 0) if unknown.
        indexed, timed, seekable: properties of the container, see the constants above.
        reordered: whether the decoder may show packets in another order.
        lost_sec, lost_packets: seconds (of all tracks) and packets (of this one) that the header claims and the file
            lacks.
        rate: ffmpeg's guess of the frames per second.
        open_key: whether pictures that are shown before a keyframe may follow it in the file.
    """

    codec: str
    number: int
    size: tuple[int, int]
    indexed: bool
    timed: bool
    seekable: bool
    reordered: bool
    lost_sec: float
    lost_packets: int
    time_base: Fraction
    rate: Fraction | None
    pts: list[int | None]
    key: np.ndarray
    open_key: np.ndarray
    shown: np.ndarray
    broken: np.ndarray
    duration: np.ndarray

    def shortage(self) -> str:
        """A clause about packets that the container promises and the file lacks; "" if there are none."""
        if self.lost_packets:
            return f"the file holds {self.lost_packets:,} frames fewer than its header says"
        if self.lost_sec:
            return f"the file ends {self.lost_sec:.1f} s before the end in its header"
        return "some of its packets are marked as damaged" if self.indexed and self.broken.any() else ""

    def has_open_gops(self) -> bool:
        """True if frames that follow a keyframe in the file are shown before it and need earlier pictures."""
        latest_key = None
        for pts, key, shown in zip(self.pts, self.key, self.shown, strict=True):
            if pts is None or not shown:
                continue
            if latest_key is not None and pts < latest_key:
                return True
            latest_key = pts if key else latest_key
        return False

    def leading(self) -> set[int]:
        """Times of shown packets that may be predicted from pictures before the start of the file."""
        if not self.key.any():
            return set()
        first = int(np.argmax(self.key))
        start = self.pts[first]
        early = (p for i, p in enumerate(self.pts) if self.shown[i] and p is not None)
        before = {p for i, p in enumerate(self.pts[:first]) if self.shown[i] and p is not None}
        return before | {p for p in early if start is not None and p < start}


def scan_packets(path: pathlib.Path) -> Packets:
    """Reads the whole file once, without decoding.

    Raises:
        InputError: see `open_container` and `video_stream`.
    """
    with open_container(path) as container:
        stream = video_stream(container, path)
        names = set(container.format.name.split(","))
        kinds = _KeyframeKinds(stream.codec_context.name, stream.codec_context.extradata)
        rows, end, dts = [], 0.0, []
        for p in demux(container):
            if p.pts is not None:
                end = max(end, float((p.pts + (p.duration or 0)) * p.time_base))
            if p.dts is not None and p.stream_index == stream.index:
                dts.append(p.dts)
            if p.size and p.stream_index == stream.index:
                is_open = p.is_keyframe and kinds.is_open(memoryview(p))
                rows.append((p.pts, p.is_keyframe, is_open, not p.is_discard, p.is_corrupt, p.duration or 0))
        lost = 0.0
        if names & _FORMATS_WITH_LENGTH and container.duration is not None:
            lost = container.duration / av.time_base - end
        context = stream.codec_context
        about = {
            "codec": context.name,
            "number": container.streams.video.index(stream),
            "size": (stream.width, stream.height),
            "indexed": bool(names & _FORMATS_WITH_INDEX),
            "timed": bool(names & _FORMATS_WITH_TIMES),
            "seekable": not container.format.flags & Flags.no_timestamps.value,
            "reordered": context.has_b_frames,
            "lost_sec": lost if lost > _DURATION_SLACK_SEC else 0.0,
            "lost_packets": _lost_packets(path, stream, names, dts),
            "time_base": stream.time_base,
            "rate": stream.guessed_rate,
        }
    pts, key, open_key, shown, broken, duration = zip(*rows, strict=True) if rows else ((),) * 6
    return Packets(
        **about,
        pts=list(pts),
        key=np.array(key, bool),
        open_key=np.array(open_key, bool),
        shown=np.array(shown, bool),
        broken=np.array(broken, bool),
        duration=np.array(duration, np.int64),
    )


def _lost_packets(path: pathlib.Path, stream: Any, names: set[str], dts: list[int]) -> int:
    """Number of packets that the header claims and the file lacks; `dts` are decoding times of those it has."""
    if stream.frames <= len(dts) or not dts:
        return 0
    if "avi" in names:
        # The header counts units of time; ffmpeg passes over the empty ones.
        step = int(np.max(np.diff(dts), initial=1))
        return max(0, (stream.frames - dts[-1]) // step - 1)
    if "mov" in names:
        # An edit list may leave out packets at the track's ends.
        with open_container(path, {"ignore_editlist": "1"}) as container:
            whole = container.streams[stream.index]
            return max(0, stream.frames - sum(1 for p in demux(container, whole) if p.dts is not None))
    return 0


class _KeyframeKinds:
    """Recognises keyframes of open groups of pictures, which pictures shown earlier may follow in the file.

    Args:
        codec: ffmpeg's name of the decoder.
        extradata: the header of the stream in the container, which says how packets are divided into units.
    """

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self._codec = codec
        self._length_bytes = 0
        # Without this header units are told apart by start codes.
        place = {"h264": 4, "hevc": 21}.get(codec, 0)
        if extradata and extradata[0] == 1 and len(extradata) > place:
            self._length_bytes = (extradata[place] & 3) + 1

    def is_open(self, data: memoryview) -> bool:
        """True if the keyframe in this packet may begin an open group of pictures."""
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
