"""Frames by number through PyAV, by the table of presentation times."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator

import av
import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.video.container import SIZE_RULE
from stvg_jax.data_pipeline.video.display import Display
from stvg_jax.data_pipeline.video.headers import read_headers
from stvg_jax.data_pipeline.video.packets import scan_packets
from stvg_jax.data_pipeline.video.reader import VideoInfo, VideoReader
from stvg_jax.data_pipeline.video.session import Damaged, Session
from stvg_jax.data_pipeline.video.table import Table, table_by_decoding, table_from_packets

# A seek discards the frames in the decoder; for a nearer keyframe, decoding on is cheaper.
_SEEK_MARGIN = 8
# Number of frames at the start that must have the times of the packets before these are trusted.
_FRAMES_TRIED = 4
# On several threads their decoders predict from pictures before a seek, and report the result as good.
_SINGLE_THREADED = {"theora", "vp3", "vp4"}
_LONGEST_SEC = 100 * 366 * 86400
# If an edit list hides more than half of the frames and the others last this long, the times are not trusted.
_SLOW_SEC = 1.0


class PyAVReader(VideoReader):
    """Reads any file that ffmpeg reads. Frames are recognised by their times or counted from the start.

    Args:
        path: a file that exists.
        allow_partial: as for `open_video`.

    Raises:
        InputError: as `open_video`.
    """

    def __init__(self, path: pathlib.Path, allow_partial: bool) -> None:
        self._path = path
        self._allow_partial = allow_partial
        self._session: Session | None = None
        # The id of the next frame that the session delivers; None after a seek, which may end before its keyframe.
        self._next: int | None = 0
        # 0: seeks and threads; 1: from the start, for files where seeks go astray; 2: on one thread too.
        self._caution = 0
        # Packets from here on are damaged and never decoded; None if no damage is known.
        self._limit: int | None = None
        # Kept from the trial at the start until the video is described.
        self._first: av.VideoFrame | None = None
        self._headers = read_headers(path)
        self._packets = scan_packets(path)
        self._table = self._tabulate()
        # In a file that is cut short, frames are missing for another reason.
        if not (self._headers.damage or self._packets.shortage()):
            self._check_hidden()
        if allow_partial:
            self._keep_good_frames()
        elif self._headers.damage or self._packets.shortage():
            good = self._find_damage()[0] if self._table.exact else len(self._table)
            raise self._damage_error(self._whole(good), len(self._table))
        self._display, self.info = self._describe()

    @property
    def trimmed(self) -> bool:
        """True if an edit list hides part of the track."""
        return self._table.trimmed

    @property
    def has_open_gops(self) -> bool:
        """True if some frames can only be decoded from the keyframe before the nearest one."""
        return self._packets.has_open_gops()

    def has_times(self) -> bool:
        """True if frames have their times, in display order. Decodes everything if the packets do not show it."""
        keys = self._packets.key & self._packets.shown
        if self._table.exact and np.count_nonzero(self._table.key) < np.count_nonzero(keys):
            self._recount()
        return self._table.exact

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _decode(self, ids: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        todo = collections.deque(ids)
        while todo:
            try:
                picture = self._advance_to(todo[0])
            except Damaged:
                self.close()
                self._grow_careful(todo[0])
                continue
            yield todo.popleft(), picture
            if self._limit is not None and not self._allow_partial:
                self._forget_damage()

    def _grow_careful(self, frame_id: int) -> None:
        """Makes the next attempt at a frame a safer one; raises InputError if there is none left."""
        if self._caution < 2:
            self._caution += 1
            return
        if self._recount():
            return
        # The decoder runs ahead and may meet damage on which the wanted frame does not depend.
        good, limit = self._find_damage() if self._table.exact and self._limit is None else (0, None)
        if frame_id >= good or limit is None:
            error = self._damage()
            self._forget_damage()
            raise error
        self._limit = limit

    def _recount(self) -> bool:
        """True if decoding shows frames in another order than their times; they are counted from now on.

        The number of frames and their times are the same, and the frames read before were right.
        """
        if not self._table.exact or self._limit is not None:
            return False
        table, limit = table_by_decoding(self._path, self._packets)
        if limit is not None or table.exact or len(table) != len(self._table):
            return False
        self._table, self._caution = table, 0
        return True

    def _forget_damage(self) -> None:
        """Makes frames behind the damage reachable by a seek again."""
        self.close()
        self._caution = 0
        self._limit = self._limit if self._allow_partial else None

    def _advance_to(self, frame_id: int) -> np.ndarray:
        session = self._session
        if session is None or self._must_jump(frame_id):
            session = self._jump(frame_id)
        for frame in session.frames:
            # The orientation of a skipped frame holds for those after it.
            self._display.check(frame)
            index = self._table.find(frame.pts) if self._table.exact else self._next
            if index is None:
                continue
            # A frame out of order means that one is lost, or that times belong to other frames.
            if index > frame_id or (self._next is not None and index != self._next):
                break
            self._next = index + 1
            if index == frame_id:
                return self._display.picture(frame)
        raise Damaged

    def _must_jump(self, frame_id: int) -> bool:
        if self._next is None or frame_id < self._next:
            return True
        return self._can_seek() and self._table.keyframe_before(frame_id) > self._next + _SEEK_MARGIN

    def _can_seek(self) -> bool:
        return self._packets.seekable and self._table.exact and self._caution == 0 and self._limit is None

    def _jump(self, frame_id: int) -> Session:
        key = self._table.keyframe_before(frame_id)
        seek = self._can_seek() and key >= 0
        if self._session is None or not seek:
            self.close()
            threads = self._caution < 2 and self._limit is None and self._packets.codec not in _SINGLE_THREADED
            self._session = Session(self._path, self._packets, threads, self._limit)
        if seek:
            self._session.seek(int(self._table.pts[key]))
        self._next = None if seek else 0
        return self._session

    def _tabulate(self) -> Table:
        table = table_from_packets(self._packets)
        if table is not None:
            table = self._without_lost_start(table)
        if table is None:
            table, self._limit = table_by_decoding(self._path, self._packets)
            if self._limit is not None and not self._allow_partial:
                raise self._damage_error(len(table), None)
        if not len(table):
            raise self._damage_error(0, None)
        return table

    def _without_lost_start(self, table: Table) -> Table | None:
        """The table without frames that need pictures before the start; None if decoding contradicts the table."""
        leading = self._packets.leading()
        first_sure = next((i for i, p in enumerate(table.pts) if int(p) not in leading), len(table))
        seen = []
        with Session(self._path, self._packets) as session, contextlib.suppress(Damaged):
            for frame in session.frames:
                index = table.find(frame.pts)
                if index is None or (seen and index <= seen[-1]) or (index > first_sure and index - 1 not in seen):
                    return None
                self._first = self._first or frame
                seen.append(index)
                if index >= first_sure and len(seen) >= _FRAMES_TRIED:
                    break
        keep = np.array([i >= first_sure or i in seen for i in range(len(table))], bool)
        return dataclasses.replace(table, pts=table.pts[keep], key=table.key[keep])

    def _whole(self, good: int) -> int:
        """Number of good frames that are complete; decoders also show a part of a picture."""
        return good if self._headers.whole is None else min(good, self._headers.whole)

    def _keep_good_frames(self) -> None:
        good = len(self._table)
        if self._table.exact and self._limit is None:
            good, self._limit = self._find_damage()
        good = self._whole(good)
        if not good:
            raise self._damage_error(0, None)
        self._table = self._table.first(good)

    def _find_damage(self) -> tuple[int, int | None]:
        """Number of frames before the first damaged one in display order, and the number of the damaged packet.

        The packet is None if none fails. Everything up to there is decoded.
        """
        with Session(self._path, self._packets) as session:
            with contextlib.suppress(Damaged):
                seen = {self._table.find(frame.pts) for frame in session.frames}
                return next((i for i in range(len(self._table)) if i not in seen), len(self._table)), None
            limit = session.position
        with Session(self._path, self._packets, limit=limit) as session:
            seen = {self._table.find(frame.pts) for frame in session.frames}
        # Frames decoded after the damage may be predicted from it, even if they are displayed earlier.
        seen -= {self._table.find(p) for p in self._packets.pts[limit:]}
        return next((i for i in range(len(self._table)) if i not in seen), len(self._table)), limit

    def _damage(self) -> InputError:
        good = self._find_damage()[0] if self._table.exact else self._next or 0
        return self._damage_error(good, len(self._table))

    def _describe(self) -> tuple[Display, VideoInfo]:
        frame, self._first = self._first or self._decode_first(), None
        display, table = Display(self._path, frame, self._headers.track(self._packets.number).crop), self._table
        duration = float((table.end - int(table.pts[0])) * table.unit)
        if not 0 < duration < _LONGEST_SEC:
            raise InputError(f"{self._path}: its times span {duration:.3g} s, which is damage; re-encode the video")
        timestamps = (table.pts - table.pts[0]).astype(np.float64) * float(table.unit)
        timestamps.setflags(write=False)
        info = VideoInfo(
            self._path,
            display.width,
            display.height,
            len(table) / duration,
            len(table),
            duration,
            display.orientation.rotation,
            display.orientation.mirrored,
            timestamps,
        )
        return display, info

    def _check_hidden(self) -> None:
        """Raises InputError if an edit list hides frames because of times that must be wrong."""
        track, shown = self._headers.track(self._packets.number), int(np.count_nonzero(self._packets.shown))
        hidden, cause = track.samples - shown, ""
        seconds = float((self._table.end - int(self._table.pts[0])) * self._table.unit) / max(len(self._table), 1)
        if track.excess_sec:
            kind = "longer" if track.excess_sec > 0 else "shorter"
            cause = f"all of them last {abs(track.excess_sec):,.1f} s {kind} than its header says"
        elif hidden > shown and seconds >= _SLOW_SEC:
            cause = f"those that are left last {seconds:,.1f} s each"
        if hidden > 0 and cause:
            raise InputError(
                f"{self._path}: an edit list hides {hidden:,} of {track.samples:,} frames, and {cause}, so that their "
                "times are damaged; download the file again, or re-encode it with `ffmpeg -ignore_editlist 1`"
            )

    def _decode_first(self) -> av.VideoFrame:
        try:
            with Session(self._path, self._packets, limit=self._limit) as session:
                frame = next(session.frames, None)
        except Damaged:
            raise self._damage() from None
        if frame is None:
            raise self._damage_error(0, None)
        return frame

    def _damage_error(self, good: int, count: int | None) -> InputError:
        """Error for a video with `good` frames out of `count`, which is None if it is unknown."""
        cause = self._headers.damage or self._packets.shortage()
        if not good:
            if not cause and 0 in self._packets.size:
                cause = f"no picture has a known size, or all are too large: {SIZE_RULE}"
            cause = f" ({cause})" if cause else ""
            return InputError(
                f"{self._path}: no frame of this video can be decoded{cause}; re-encode it or use another file"
            )
        way_out = f"repair or re-encode the video, or use --allow-partial to work with the first {good} frames"
        if cause and good == count:
            return InputError(f"{self._path}: {cause}; {way_out}")
        where = f"frame {good}" + (f" of {count}" if count is not None and count > good else "")
        cause = f" ({cause})" if cause else ""
        return InputError(
            f"{self._path}: {where} cannot be decoded{cause}, {good} frames before it are good; {way_out}"
        )
