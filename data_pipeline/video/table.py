"""The table of presentation times: the displayed frames, their times, and the frames where decoding can start."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from fractions import Fraction

import numpy as np

from stvg_jax.data_pipeline.video.packets import Packets
from stvg_jax.data_pipeline.video.session import Damaged, Session

# In these codecs each packet is one displayed frame. Others have hidden frames, packed frames or single fields, so that
# frames must be counted by decoding.
_ONE_FRAME_PER_PACKET = {"h264", "hevc", "av1", "libdav1d", "libaom-av1", "vp9", "libvpx-vp9", "mjpeg", "ffv1"}
_USUAL_RATE = 25


@dataclasses.dataclass(frozen=True)
class Table:
    """The displayed frames in display order.

    Attributes:
        pts: int64 [n], increasing, in units of the time base.
        key: bool [n], whether decoding can start at the frame.
        end: end of the last frame, in the same units.
        unit: seconds per unit of these times.
        exact: whether decoded frames have these times; otherwise they are counted from the start.
        trimmed: whether an edit list hides packets of the track.
    """

    pts: np.ndarray
    key: np.ndarray
    end: int
    unit: Fraction
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
    """The table, if each shown packet is known to be one frame with a distinct time; else None."""
    if not packets.timed or packets.codec not in _ONE_FRAME_PER_PACKET:
        return None
    chosen = np.flatnonzero(packets.shown)
    times = [packets.pts[i] for i in chosen]
    if any(t is None for t in times) or len(set(times)) != len(times) or not times:
        return None
    pts, key = np.array(times, np.int64), packets.key[chosen]
    if packets.reordered:
        key = _sure_keys(pts, key, packets.open_key[chosen])
        if key is None:
            return None
    order = np.argsort(pts)
    end = _end(pts[order], packets, packets.time_base, int(packets.duration[chosen[order[-1]]]))
    return Table(pts[order], key[order], end, packets.time_base, True, not packets.shown.all())


def _sure_keys(pts: np.ndarray, key: np.ndarray, open_key: np.ndarray) -> np.ndarray | None:
    """The keyframes at which decoding can start, of a stream whose pictures may be shown in another order.

    Some files, such as those made from an AVI, have the order of decoding in their times. In these, a keyframe of an
    open group that no picture with an earlier time follows may be shown after others, so that counting cannot start
    there; nor can it at another keyframe before packets whose times only increase. None if the times of all packets
    only increase, or contradict a keyframe, because pictures decoded before a keyframe are also shown before it.
    """
    backwards = np.flatnonzero(pts[1:] < pts[:-1]) + 1
    starts = np.flatnonzero(key)
    later = starts[starts > 0]
    if (len(pts) > 2 and not len(backwards)) or np.any(np.maximum.accumulate(pts)[later - 1] > pts[later]):
        return None
    after = np.append(starts[1:], len(pts))
    reordered = np.searchsorted(backwards, after) > np.searchsorted(backwards, starts + 1)
    led = np.array([pts[start:stop].min() < pts[start] for start, stop in zip(starts, after, strict=False)], bool)
    sure = np.zeros_like(key)
    # Decoding from the first packet is always right.
    sure[starts[np.where(open_key[starts], led, reordered) | (starts == 0)]] = True
    return sure


def table_by_decoding(path: pathlib.Path, packets: Packets) -> tuple[Table, int | None]:
    """The table of the frames decoded before the first error, and the number of the damaged packet."""
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
    known = [time for time in times if time is not None]
    exact = len(known) == len(times) and all(a < b for a, b in zip(known, known[1:], strict=False))
    pts, unit = (np.array(times, np.int64), packets.time_base) if exact else _sorted_times(times, packets)
    table = Table(pts, np.array(keys, bool), _end(pts, packets, unit), unit, exact, not packets.shown.all())
    return table, limit


def _sorted_times(times: list[int | None], packets: Packets) -> tuple[np.ndarray, Fraction]:
    """Times that increase by at least one unit, and the unit, for frames with the given times in any order.

    Frames are evenly spaced if one has no time, as in formats without times, or if most share their times.
    """
    known = [time for time in times if time is not None]
    if len(known) < len(times) or 2 * len(set(known)) < len(known):
        return np.arange(len(times)), 1 / _rate(packets)
    steps = np.arange(len(known))
    return np.maximum.accumulate(np.sort(_continued(known)) - steps) + steps, packets.time_base


def _continued(times: list[int]) -> np.ndarray:
    """The times, continued where they start again from the beginning, as in joined files."""
    step, offset, first, latest = _usual_step(np.unique(times)), 0, times[0], times[0]
    continued = times[:1]
    for time in times[1:]:
        if time <= first:
            offset += latest + step - time
            first = latest = time
        latest = max(latest, time)
        continued.append(time + offset)
    return np.array(continued, np.int64)


def _end(pts: np.ndarray, packets: Packets, unit: Fraction, last_duration: int = 0) -> int:
    """End of the last frame: after its own duration, the median one, or that of the usual rate."""
    if not len(pts):
        return 0
    step = last_duration if last_duration > 0 else _usual_step(pts)
    return int(pts[-1]) + (step or max(1, round(1 / _rate(packets) / unit)))


def _rate(packets: Packets) -> Fraction:
    return packets.rate if packets.rate and packets.rate > 0 else Fraction(_USUAL_RATE)


def _usual_step(pts: np.ndarray) -> int:
    """The median time between frames; 0 for a single frame."""
    return int(np.median(np.diff(pts))) if len(pts) > 1 else 0
