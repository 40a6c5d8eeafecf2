"""The table of presentation times: which frames a file shows, when, and where decoding can start."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from fractions import Fraction

import numpy as np

from data_pipeline.video.packets import Packets
from data_pipeline.video.session import Damaged, Session

# In these every packet is one displayed frame; elsewhere there are hidden frames, packed frames or lone fields, so the
# frames have to be counted by decoding.
_ONE_FRAME_PER_PACKET = {"h264", "hevc", "av1", "libdav1d", "libaom-av1", "vp9", "libvpx-vp9", "mjpeg", "ffv1"}


@dataclasses.dataclass(frozen=True)
class Table:
    """The displayed frames in display order.

    Attributes:
        pts: int64 [n], increasing, in units of the time base.
        key: bool [n], whether decoding can start at the frame.
        end: when the last frame ends, in the same units.
        exact: whether decoded frames carry these times; otherwise frames are told apart by counting from the start.
        trimmed: whether an edit list hides packets of the track.
    """

    pts: np.ndarray
    key: np.ndarray
    end: int
    exact: bool
    trimmed: bool

    def __len__(self) -> int:
        return len(self.pts)

    def find(self, pts: int | None) -> int | None:
        """The id of the frame shown at `pts`; None when no frame has that time."""
        if pts is None:
            return None
        index = int(np.searchsorted(self.pts, pts))
        return index if index < len(self.pts) and self.pts[index] == pts else None

    def keyframe_before(self, frame_id: int) -> int:
        """The last keyframe at or before `frame_id`; -1 when there is none."""
        place = int(np.searchsorted(self._keyframes, frame_id, side="right"))
        return int(self._keyframes[place - 1]) if place else -1

    @functools.cached_property
    def _keyframes(self) -> np.ndarray:
        return np.flatnonzero(self.key)

    def first(self, count: int) -> Table:
        """The table of the first `count` frames only."""
        end = int(self.pts[count]) if count < len(self) else self.end
        return dataclasses.replace(self, pts=self.pts[:count], key=self.key[:count], end=end)


def table_from_packets(packets: Packets) -> Table | None:
    """The table when every shown packet is known to be one frame with a time of its own, else None."""
    if not packets.timed or packets.codec not in _ONE_FRAME_PER_PACKET:
        return None
    chosen = np.flatnonzero(packets.shown)
    times = [packets.pts[i] for i in chosen]
    if any(t is None for t in times) or len(set(times)) != len(times) or not times:
        return None
    pts = np.array(times, np.int64)
    order = np.argsort(pts)
    pts, last = pts[order], int(packets.duration[chosen[order[-1]]])
    trimmed = not packets.shown.all()
    return Table(pts, packets.key[chosen][order], int(pts[-1]) + (last or _usual_step(pts)), True, trimmed)


def table_by_decoding(path: pathlib.Path, packets: Packets) -> tuple[Table, int | None]:
    """The table of what decoding delivers before the first error, and the number of the packet to blame for it."""
    limit = None
    with Session(path, packets) as session:
        try:
            frames = [(frame.pts, bool(frame.key_frame)) for frame in session.frames]
        except Damaged:
            limit = session.position
    if limit is not None:
        with Session(path, packets, limit=limit) as session:
            frames = [(frame.pts, bool(frame.key_frame)) for frame in session.frames]
    times, keys = [pts for pts, _ in frames], [key for _, key in frames]
    exact = all(t is not None for t in times) and all(a < b for a, b in zip(times, times[1:], strict=False))
    pts = np.array(times if exact else range(len(times)), np.int64)
    trimmed = not packets.shown.all()
    return Table(pts, np.array(keys, bool), int(pts[-1]) + _usual_step(pts) if times else 0, exact, trimmed), limit


def _usual_step(pts: np.ndarray) -> int:
    """The median time between frames; 0 for a single frame."""
    return int(np.median(np.diff(pts))) if len(pts) > 1 else 0


def time_unit(table: Table, time_base: Fraction, guessed_rate: Fraction | None) -> Fraction:
    """Seconds per unit of the table. Frames without times of their own are taken as evenly spaced."""
    if table.exact and table.end > int(table.pts[0]):
        return time_base
    return 1 / guessed_rate if guessed_rate else Fraction(1, 25)
