"""What a file says about its frames without decoding them: the packets of the track."""

from __future__ import annotations

import dataclasses
import pathlib

import av
import numpy as np

from data_pipeline.video.container import demux, open_container, video_stream

# The others keep no presentation times, so that ffmpeg guesses them.
_FORMATS_WITH_TIMES = {"mov", "matroska", "mpegts", "flv"}
# A file of these is whole from its first packet; a recorded stream may begin in the middle of one.
_FORMATS_WITH_INDEX = {"mov", "matroska"}
# Header durations are rounded and may count the last frame differently; losing more than this is damage.
_DURATION_SLACK_SEC = 0.5


@dataclasses.dataclass(frozen=True)
class Packets:
    """The packets of one video track in decoding order; every array has one entry per packet.

    `indexed` and `timed` say what the container promises (see the constants); `lost_sec` is by how much the packets of
    all tracks fall short of the length in the file's header.
    """

    codec: str
    indexed: bool
    timed: bool
    lost_sec: float
    pts: list[int | None]
    key: np.ndarray
    shown: np.ndarray
    broken: np.ndarray
    duration: np.ndarray

    def incomplete(self) -> bool:
        """Whether the container promises more than its packets hold."""
        return bool(self.lost_sec or (self.indexed and self.broken.any()))

    def has_open_gops(self) -> bool:
        """Whether frames that follow a keyframe in the file are shown before it and need pictures from before it."""
        latest_key = None
        for pts, key, shown in zip(self.pts, self.key, self.shown, strict=True):
            if pts is None or not shown:
                continue
            if latest_key is not None and pts < latest_key:
                return True
            latest_key = pts if key else latest_key
        return False

    def leading(self) -> set[int]:
        """Times of shown packets that may lack the pictures they are predicted from, because the file starts later."""
        if not self.key.any():
            return set()
        first = int(np.argmax(self.key))
        start = self.pts[first]
        early = (p for i, p in enumerate(self.pts) if self.shown[i] and p is not None)
        before = {p for i, p in enumerate(self.pts[:first]) if self.shown[i] and p is not None}
        return before | {p for p in early if start is not None and p < start}


def scan_packets(path: pathlib.Path) -> Packets:
    """Reads the whole file once, without decoding; InputError as `open_container` and `video_stream`."""
    with open_container(path) as container:
        stream = video_stream(container, path)
        names = set(container.format.name.split(","))
        rows, end = [], 0.0
        for p in demux(container):
            if p.pts is not None:
                end = max(end, float((p.pts + (p.duration or 0)) * p.time_base))
            if p.size and p.stream_index == stream.index:
                rows.append((p.pts, p.is_keyframe, not p.is_discard, p.is_corrupt, p.duration or 0))
        lost = 0.0
        if "matroska" in names and container.duration is not None:
            lost = container.duration / av.time_base - end
        codec = stream.codec_context.name
    pts, key, shown, broken, duration = zip(*rows, strict=True) if rows else ((),) * 5
    return Packets(
        codec=codec,
        indexed=bool(names & _FORMATS_WITH_INDEX),
        timed=bool(names & _FORMATS_WITH_TIMES),
        lost_sec=lost if lost > _DURATION_SLACK_SEC else 0.0,
        pts=list(pts),
        key=np.array(key, bool),
        shown=np.array(shown, bool),
        broken=np.array(broken, bool),
        duration=np.array(duration, np.int64),
    )
