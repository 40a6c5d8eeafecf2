"""Frames by number through PyAV, by the table of presentation times."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator

import av
import numpy as np

from data_pipeline.video.packets import scan_packets
from data_pipeline.video.reader import VideoInfo, VideoReader
from data_pipeline.video.session import Damaged, Session
from data_pipeline.video.table import Table, table_by_decoding, table_from_packets, time_unit
from data_pipeline.video.truncation import count_missing_bytes
from stvg_jax.errors import InputError

# A seek throws away the frames that the decoder is working on; nearer than this, decoding on is cheaper.
_SEEK_MARGIN = 8


class PyAVReader(VideoReader):
    """Reads any file that ffmpeg reads; every frame is recognised by its time or counted from the start.

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
        self._next = 0
        # 0: seeks and threads; 1: from the start, for files where seeks go astray; 2: on one thread too.
        self._caution = 0
        # Packets from here on are damaged and never shown to the decoder; None when nothing is known to be damaged.
        self._limit: int | None = None
        self._missing_bytes = count_missing_bytes(path)
        self._packets = scan_packets(path)
        self._table = self._tabulate()
        if allow_partial:
            self._keep_good_frames()
        elif self._missing_bytes or self._packets.incomplete():
            raise self._damage()
        self.info = self._describe()

    @property
    def trimmed(self) -> bool:
        """Whether an edit list hides part of the track."""
        return self._table.trimmed

    @property
    def has_open_gops(self) -> bool:
        """Whether some frames can only be decoded from the keyframe before the nearest one."""
        return self._packets.has_open_gops()

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
        """Makes the next attempt at a frame a safer one; raises InputError when there is none left."""
        if self._caution < 2:
            self._caution += 1
            return
        # The decoder runs ahead of what it shows and may meet damage that the wanted frame does not depend on.
        good, limit = self._find_damage() if self._table.exact and self._limit is None else (0, None)
        if frame_id >= good or limit is None:
            error = self._damage()
            self._forget_damage()
            raise error
        self._limit = limit

    def _forget_damage(self) -> None:
        """Leaves the frames behind the damage within reach of a seek, whatever has been read before."""
        self.close()
        self._caution = 0
        self._limit = self._limit if self._allow_partial else None

    def _advance_to(self, frame_id: int) -> np.ndarray:
        if self._must_jump(frame_id):
            self._jump(frame_id)
        for frame in self._session.frames:
            index = self._table.find(frame.pts) if self._table.exact else self._next
            if index is None:
                continue
            self._next = index + 1
            if index == frame_id:
                return self._picture(frame)
            if index > frame_id:
                break
        raise Damaged

    def _must_jump(self, frame_id: int) -> bool:
        if self._session is None or frame_id < self._next:
            return True
        return self._can_seek() and self._table.keyframe_before(frame_id) > self._next + _SEEK_MARGIN

    def _can_seek(self) -> bool:
        return self._table.exact and self._caution == 0 and self._limit is None

    def _jump(self, frame_id: int) -> None:
        key = self._table.keyframe_before(frame_id)
        seek = self._can_seek() and key >= 0
        if self._session is None or not seek:
            self.close()
            threads = self._caution < 2 and self._limit is None
            self._session = Session(self._path, self._packets, threads, self._limit)
        if seek:
            self._session.seek(int(self._table.pts[key]))
        self._next = 0

    def _picture(self, frame: av.VideoFrame) -> np.ndarray:
        turned = self.info.rotation % 180 != 0
        width, height = (self.info.height, self.info.width) if turned else (self.info.width, self.info.height)
        # A stream may change its size half-way; like the ffmpeg program, every frame takes the size of the first.
        picture = frame.to_ndarray(format="rgb24", width=width, height=height)
        return np.ascontiguousarray(np.rot90(picture, k=self.info.rotation // 90))

    def _tabulate(self) -> Table:
        table = table_from_packets(self._packets)
        if table is not None:
            table = self._without_lost_start(table)
        if table is None:
            table, self._limit = table_by_decoding(self._path, self._packets)
            if self._limit is not None and not self._allow_partial:
                raise _damage_error(self._path, len(table), None, self._missing_bytes)
        if not len(table):
            raise _damage_error(self._path, 0, None, self._missing_bytes)
        return table

    def _without_lost_start(self, table: Table) -> Table | None:
        """Drops frames at the start that need pictures from before it; None if decoding contradicts the table."""
        leading = self._packets.leading()
        first_sure = next((i for i, p in enumerate(table.pts) if int(p) not in leading), len(table))
        seen = set()
        with Session(self._path, self._packets) as session, contextlib.suppress(Damaged):
            for frame in session.frames:
                index = table.find(frame.pts)
                if index is None:
                    return None
                seen.add(index)
                if index >= first_sure:
                    break
        keep = np.array([i >= first_sure or i in seen for i in range(len(table))], bool)
        return dataclasses.replace(table, pts=table.pts[keep], key=table.key[keep])

    def _keep_good_frames(self) -> None:
        good = len(self._table)
        if self._table.exact and self._limit is None:
            good, self._limit = self._find_damage()
        if not good:
            raise _damage_error(self._path, 0, None, self._missing_bytes)
        self._table = self._table.first(good)

    def _find_damage(self) -> tuple[int, int | None]:
        """How many frames come before the first damaged one in display order, and the number of the damaged packet.

        The packet is None where no packet fails. Decodes everything up to there.
        """
        with Session(self._path, self._packets) as session:
            with contextlib.suppress(Damaged):
                seen = {self._table.find(frame.pts) for frame in session.frames}
                return next((i for i in range(len(self._table)) if i not in seen), len(self._table)), None
            limit = session.position
        with Session(self._path, self._packets, limit=limit) as session:
            seen = {self._table.find(frame.pts) for frame in session.frames}
        # Whatever is decoded after the damage may be predicted from it, frames displayed earlier included.
        seen -= {self._table.find(p) for p in self._packets.pts[limit:]}
        return next((i for i in range(len(self._table)) if i not in seen), len(self._table)), limit

    def _damage(self) -> InputError:
        good = self._find_damage()[0] if self._table.exact else self._next
        return _damage_error(self._path, good, len(self._table), self._missing_bytes)

    def _describe(self) -> VideoInfo:
        try:
            with Session(self._path, self._packets, limit=self._limit) as session:
                frame = next(session.frames, None)
                time_base, guess = session.stream.time_base, session.stream.guessed_rate
        except Damaged:
            raise self._damage() from None
        if frame is None:
            raise _damage_error(self._path, 0, None, self._missing_bytes)
        rotation = round(frame.rotation / 90) * 90 % 360
        size = (frame.width, frame.height) if rotation % 180 == 0 else (frame.height, frame.width)
        count = len(self._table)
        unit = time_unit(self._table, time_base, guess)
        duration = float(max(self._table.end - int(self._table.pts[0]), 1) * unit)
        timestamps = (self._table.pts - self._table.pts[0]).astype(np.float64) * float(unit)
        timestamps.setflags(write=False)
        return VideoInfo(self._path, *size, count / duration, count, duration, rotation, timestamps)


def _damage_error(path: pathlib.Path, good: int, count: int | None, missing_bytes: int) -> InputError:
    where = f"frame {good}" + (f" of {count}" if count is not None and count > good else "")
    cause = f" (the file is cut short by {missing_bytes:,} bytes)" if missing_bytes else ""
    if not good:
        return InputError(f"{path}: no frame of this video can be decoded{cause}; re-encode it or use another file")
    return InputError(
        f"{path}: {where} cannot be decoded{cause}, {good} frames before it are good; "
        f"repair or re-encode the video, or use --allow-partial to work with the first {good} frames"
    )
