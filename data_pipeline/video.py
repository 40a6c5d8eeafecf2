"""Exact frames out of video files: what a file shows, counted from 0 in display order, as RGB arrays.

`open_video` builds a table of presentation times by reading the packets once, without decoding them. The table says
how many frames the file shows and where the keyframes are, so that any frame can be reached by a seek and recognised
by its time; nothing is ever computed from an average frame rate. Damage is an error, never a substitute frame.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from av.stream import Disposition

from stvg_jax.errors import InputError

DECODERS = ("pyav", "decord")

# In these every packet is one displayed frame; elsewhere there are hidden frames, packed frames or lone fields, so the
# frames have to be counted by decoding.
_ONE_FRAME_PER_PACKET = {"h264", "hevc", "av1", "libdav1d", "libaom-av1", "vp9", "libvpx-vp9", "mjpeg", "ffv1"}
# The others keep no presentation times, so that ffmpeg guesses them.
_FORMATS_WITH_TIMES = {"mov", "matroska", "mpegts", "flv"}
# A file of these is whole from its first packet; a recorded stream may begin in the middle of one.
_FORMATS_WITH_INDEX = {"mov", "matroska"}
# Text that ffmpeg would draw or follow as a playlist, and still images: none of them is a video file.
_NOT_VIDEO_FORMATS = {"tty", "hls", "dash", "concat", "image2", "imf", "sdp", "rtsp"}
# A seek throws away the frames that the decoder is working on; nearer than this, decoding on is cheaper.
_SEEK_MARGIN = 8
# Header durations are rounded and may count the last frame differently; losing more than this is damage.
_DURATION_SLACK_SEC = 0.5
_DECORD_BATCH = 16
# Two builds of ffmpeg may round the colour conversion differently; neighbouring frames differ by far more somewhere.
_DECORD_TOLERANCE = 4


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What a video file shows.

    Attributes:
        path: the file.
        width, height: pixels of a displayed frame, after rotation.
        fps: average displayed frames per second.
        frame_count: number of frames that can be shown; ids run from 0 to frame_count - 1 in display order.
        duration_sec: from the beginning of the first frame to the end of the last.
        rotation: degrees counter-clockwise by which decoded pictures are turned for display: 0, 90, 180 or 270.
        timestamps_sec: float64 [frame_count], when each frame appears, in seconds after the first.
    """

    path: pathlib.Path
    width: int
    height: int
    fps: float
    frame_count: int
    duration_sec: float
    rotation: int
    timestamps_sec: np.ndarray = dataclasses.field(repr=False, compare=False)


class VideoReader:
    """Reads displayed frames by number. Made by `open_video`; a context manager; not safe for use by several threads.

    Attributes:
        info: the `VideoInfo` of the file.
    """

    info: VideoInfo

    def read(self, frame_ids: Sequence[int] | np.ndarray, progress: Callable[[int], None] | None = None) -> np.ndarray:
        """The frames with these ids, in this order: uint8 [n, height, width, 3], RGB.

        Args:
            frame_ids: ids in any order, repeats allowed; each is decoded once.
            progress: called with 1 after each distinct frame.

        Raises:
            InputError: an id outside 0 .. frame_count - 1, or a damaged file.
        """
        wanted = self._checked(frame_ids)
        unique, places = np.unique(wanted, return_inverse=True)
        frames = np.empty((len(wanted), self.info.height, self.info.width, 3), np.uint8)
        order = np.argsort(places, kind="stable")
        ends = np.cumsum(np.bincount(places, minlength=len(unique)))
        for position, (_, picture) in enumerate(self.iter_selected(unique)):
            frames[order[ends[position - 1] if position else 0 : ends[position]]] = picture
            if progress is not None:
                progress(1)
        return frames

    def iter_selected(self, frame_ids: Sequence[int] | np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yields (id, uint8 [height, width, 3] RGB) for every distinct id, ascending, holding one frame at a time.

        Raises:
            InputError: as `read`; a damaged file raises when the damaged frame is reached.
        """
        yield from self._decode([int(i) for i in np.unique(self._checked(frame_ids))])

    def iter_frames(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yields (id, uint8 [height, width, 3] RGB) for the ids from `start` up to but not including `stop`.

        Raises:
            InputError: as `iter_selected`.
        """
        yield from self.iter_selected(range(start, self.info.frame_count if stop is None else stop))

    def close(self) -> None:
        """Releases the file and the decoder. Harmless when repeated."""

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _decode(self, ids: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        raise NotImplementedError

    def _checked(self, frame_ids: Sequence[int] | np.ndarray) -> np.ndarray:
        ids = np.asarray(frame_ids)
        if ids.size == 0:
            return np.zeros(0, np.int64)
        if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
            raise InputError(f"frame ids must be a list of whole numbers, not {ids.dtype} of shape {ids.shape}")
        last = self.info.frame_count - 1
        outside = ids[(ids < 0) | (ids > last)]
        if outside.size:
            raise InputError(f"{self.info.path}: there is no frame {outside[0]}; frames are numbered 0 to {last}")
        return ids.astype(np.int64)


def open_video(path: str | os.PathLike, decoder: str = "pyav", allow_partial: bool = False) -> VideoReader:
    """Opens a video file for reading frames by number.

    Args:
        path: a local video file.
        decoder: "pyav", or "decord", which must be installed and is refused for files that it is known to misread.
        allow_partial: accept a damaged or cut-short file and show the frames before the first bad one. Decodes the
            whole file once to find it.

    Raises:
        InputError: the file is missing, empty, no video, or has no frame that can be decoded; it is cut short or its
            first frame is damaged and `allow_partial` is off; the decoder is unknown, absent or unfit for the file.
            Damage further on raises when it is met while reading, unless `allow_partial` has already excluded it.
    """
    if decoder not in DECODERS:
        raise InputError(f"unknown decoder {decoder!r}; choose one of {', '.join(DECODERS)}")
    if decoder == "decord":
        decord = _import_decord()
    source = _checked_file(path)
    reader = _PyAVReader(source, allow_partial)
    if decoder == "pyav":
        return reader
    with reader:
        return _DecordReader(decord, reader)


class _Damaged(Exception):
    """Decoding did not deliver the frames that the packets promise."""


@dataclasses.dataclass(frozen=True)
class _Packets:
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


@dataclasses.dataclass(frozen=True)
class _Table:
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

    def first(self, count: int) -> _Table:
        """The table of the first `count` frames only."""
        end = int(self.pts[count]) if count < len(self) else self.end
        return dataclasses.replace(self, pts=self.pts[:count], key=self.key[:count], end=end)


class _PyAVReader(VideoReader):
    def __init__(self, path: pathlib.Path, allow_partial: bool) -> None:
        self._path = path
        self._allow_partial = allow_partial
        self._session: _Session | None = None
        self._next = 0
        # 0: seeks and threads; 1: from the start, for files where seeks go astray; 2: on one thread too.
        self._caution = 0
        # Packets from here on are damaged and never shown to the decoder; None when nothing is known to be damaged.
        self._limit: int | None = None
        self._missing_bytes = _missing_bytes(path)
        self._packets = _scan(path)
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
            except _Damaged:
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
        raise _Damaged

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
            self._session = _Session(self._path, self._packets, threads, self._limit)
        if seek:
            self._session.seek(int(self._table.pts[key]))
        self._next = 0

    def _picture(self, frame: av.VideoFrame) -> np.ndarray:
        turned = self.info.rotation % 180 != 0
        width, height = (self.info.height, self.info.width) if turned else (self.info.width, self.info.height)
        # A stream may change its size half-way; like the ffmpeg program, every frame takes the size of the first.
        picture = frame.to_ndarray(format="rgb24", width=width, height=height)
        return np.ascontiguousarray(np.rot90(picture, k=self.info.rotation // 90))

    def _tabulate(self) -> _Table:
        table = None
        if self._packets.timed and self._packets.codec in _ONE_FRAME_PER_PACKET:
            table = _table_from_packets(self._packets)
        if table is not None:
            table = self._without_lost_start(table)
        if table is None:
            table, self._limit = _table_by_decoding(self._path, self._packets)
            if self._limit is not None and not self._allow_partial:
                raise _damage_error(self._path, len(table), None, self._missing_bytes)
        if not len(table):
            raise _damage_error(self._path, 0, None, self._missing_bytes)
        return table

    def _without_lost_start(self, table: _Table) -> _Table | None:
        """Drops frames at the start that need pictures from before it; None if decoding contradicts the table."""
        leading = self._packets.leading()
        first_sure = next((i for i, p in enumerate(table.pts) if int(p) not in leading), len(table))
        seen = set()
        with _Session(self._path, self._packets) as session, contextlib.suppress(_Damaged):
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
        with _Session(self._path, self._packets) as session:
            with contextlib.suppress(_Damaged):
                seen = {self._table.find(frame.pts) for frame in session.frames}
                return next((i for i in range(len(self._table)) if i not in seen), len(self._table)), None
            limit = session.position
        with _Session(self._path, self._packets, limit=limit) as session:
            seen = {self._table.find(frame.pts) for frame in session.frames}
        # Whatever is decoded after the damage may be predicted from it, frames displayed earlier included.
        seen -= {self._table.find(p) for p in self._packets.pts[limit:]}
        return next((i for i in range(len(self._table)) if i not in seen), len(self._table)), limit

    def _damage(self) -> InputError:
        good = self._find_damage()[0] if self._table.exact else self._next
        return _damage_error(self._path, good, len(self._table), self._missing_bytes)

    def _describe(self) -> VideoInfo:
        try:
            with _Session(self._path, self._packets, limit=self._limit) as session:
                frame = next(session.frames, None)
                time_base, guess = session.stream.time_base, session.stream.guessed_rate
        except _Damaged:
            raise self._damage() from None
        if frame is None:
            raise _damage_error(self._path, 0, None, self._missing_bytes)
        rotation = round(frame.rotation / 90) * 90 % 360
        size = (frame.width, frame.height) if rotation % 180 == 0 else (frame.height, frame.width)
        count = len(self._table)
        unit = _time_unit(self._table, time_base, guess)
        duration = float(max(self._table.end - int(self._table.pts[0]), 1) * unit)
        timestamps = (self._table.pts - self._table.pts[0]).astype(np.float64) * float(unit)
        timestamps.setflags(write=False)
        return VideoInfo(self._path, *size, count / duration, count, duration, rotation, timestamps)


class _Session:
    """One open file with its decoder.

    Attributes:
        frames: decoded frames from the start or, after `seek`, from a keyframe, in display order; raises _Damaged.
        position: after _Damaged from the start, the number of the packet to blame.
    """

    def __init__(self, path: pathlib.Path, packets: _Packets, threads: bool = False, limit: int | None = None) -> None:
        self._container = _open_container(path)
        self.stream = _video_stream(self._container, path)
        self.stream.thread_type = "AUTO" if threads else "NONE"
        self._packets = packets
        self.position = 0
        self.frames = self._from_start(limit)

    def seek(self, pts: int) -> None:
        """Goes to the keyframe at or before `pts`, and past what is displayed before that keyframe."""
        try:
            self._container.seek(pts, stream=self.stream, backward=True)
        except av.error.FFmpegError as error:
            raise _Damaged from error
        self.frames = self._from_keyframe()

    def close(self) -> None:
        self.frames = iter(())
        self._container.close()

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _from_start(self, limit: int | None) -> Iterator[av.VideoFrame]:
        leading = self._packets.leading()
        for position, packet in enumerate(_demux(self._container, self.stream)):
            self.position = position
            if limit is not None and self.position >= limit:
                yield from self.stream.codec_context.decode(None)
                return
            try:
                decoded = packet.decode()
            except (av.error.FFmpegError, EOFError) as error:
                if packet.pts in leading and not self._packets.indexed:
                    continue
                raise _Damaged from error
            for frame in decoded:
                if not frame.is_corrupt:
                    yield frame
                elif frame.pts not in leading:
                    if frame.pts is not None and frame.pts in self._packets.pts:
                        self.position = self._packets.pts.index(frame.pts)
                    raise _Damaged

    def _from_keyframe(self) -> Iterator[av.VideoFrame]:
        begin = None
        for packet in _demux(self._container, self.stream):
            if begin is None:
                begin = packet.pts
            try:
                decoded = packet.decode()
            except (av.error.FFmpegError, EOFError) as error:
                # Pictures displayed before the keyframe may need some from before it.
                if packet.pts is not None and packet.pts < begin:
                    continue
                raise _Damaged from error
            for frame in decoded:
                if begin is None or frame.pts is None or frame.pts < begin:
                    continue
                if frame.is_corrupt:
                    raise _Damaged
                yield frame


def _checked_file(path: str | os.PathLike) -> pathlib.Path:
    source = pathlib.Path(path)
    if not source.exists():
        raise InputError(f"{source}: no such file; give the path of a video file")
    if not source.is_file():
        raise InputError(f"{source}: not a file; give the path of a video file")
    if not os.access(source, os.R_OK):
        raise InputError(f"{source}: no permission to read this file; change its permissions or copy it")
    if source.stat().st_size == 0:
        raise InputError(f"{source}: the file is empty (0 bytes); copy or download it again")
    return source


def _open_container(path: pathlib.Path) -> Any:
    try:
        # An absolute path cannot be taken for a URL; what a file itself refers to, ffmpeg looks for in files only.
        container = av.open(str(path.resolve()))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{path}: not a video file that ffmpeg can read ({reason}); it may be cut short or of another kind"
        ) from error
    names = set(container.format.name.split(","))
    if names & _NOT_VIDEO_FORMATS or any(name.endswith("_pipe") for name in names):
        container.close()
        raise InputError(f"{path}: not a video file but {container.format.long_name or container.format.name}")
    return container


def _video_stream(container: Any, path: pathlib.Path) -> Any:
    """The track that the ffmpeg program would take: the default one, then the largest; never a cover picture."""
    tracks = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic and s.codec_context]
    if not tracks:
        kinds = sorted({s.type for s in container.streams if s.type != "video"}) or ["nothing"]
        container.close()
        raise InputError(f"{path}: no video track in this file, only {', '.join(kinds)}; give a file with pictures")
    return max(tracks, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height, -s.index))


def _demux(container: Any, stream: Any = None) -> Iterator[Any]:
    """Packets of the track (or all), then empty ones that flush decoders; a read error ends them like the file's end.

    Losing packets that way is noticed: they are missing from what the decoder delivers or from the file's size.
    """
    packets = container.demux(stream) if stream is not None else container.demux()
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, EOFError):
            packet = None
        if packet is None:
            return
        yield packet


def _scan(path: pathlib.Path) -> _Packets:
    with _open_container(path) as container:
        stream = _video_stream(container, path)
        names = set(container.format.name.split(","))
        rows, end = [], 0.0
        for p in _demux(container):
            if p.pts is not None:
                end = max(end, float((p.pts + (p.duration or 0)) * p.time_base))
            if p.size and p.stream_index == stream.index:
                rows.append((p.pts, p.is_keyframe, not p.is_discard, p.is_corrupt, p.duration or 0))
        lost = 0.0
        if "matroska" in names and container.duration is not None:
            lost = container.duration / av.time_base - end
        codec = stream.codec_context.name
    pts, key, shown, broken, duration = zip(*rows, strict=True) if rows else ((),) * 5
    return _Packets(
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


def _table_from_packets(packets: _Packets) -> _Table | None:
    """The table when every shown packet has a time of its own, else None."""
    chosen = np.flatnonzero(packets.shown)
    times = [packets.pts[i] for i in chosen]
    if any(t is None for t in times) or len(set(times)) != len(times) or not times:
        return None
    pts = np.array(times, np.int64)
    order = np.argsort(pts)
    pts, last = pts[order], int(packets.duration[chosen[order[-1]]])
    trimmed = not packets.shown.all()
    return _Table(pts, packets.key[chosen][order], int(pts[-1]) + (last or _usual_step(pts)), True, trimmed)


def _table_by_decoding(path: pathlib.Path, packets: _Packets) -> tuple[_Table, int | None]:
    """The table of what decoding delivers before the first error, and the number of the packet to blame for it."""
    limit = None
    with _Session(path, packets) as session:
        try:
            frames = [(frame.pts, bool(frame.key_frame)) for frame in session.frames]
        except _Damaged:
            limit = session.position
    if limit is not None:
        with _Session(path, packets, limit=limit) as session:
            frames = [(frame.pts, bool(frame.key_frame)) for frame in session.frames]
    times, keys = [pts for pts, _ in frames], [key for _, key in frames]
    exact = all(t is not None for t in times) and all(a < b for a, b in zip(times, times[1:], strict=False))
    pts = np.array(times if exact else range(len(times)), np.int64)
    trimmed = not packets.shown.all()
    return _Table(pts, np.array(keys, bool), int(pts[-1]) + _usual_step(pts) if times else 0, exact, trimmed), limit


def _usual_step(pts: np.ndarray) -> int:
    """The median time between frames; 0 for a single frame."""
    return int(np.median(np.diff(pts))) if len(pts) > 1 else 0


def _time_unit(table: _Table, time_base: Fraction, guessed_rate: Fraction | None) -> Fraction:
    """Seconds per unit of the table. Frames without times of their own are taken as evenly spaced."""
    if table.exact and table.end > int(table.pts[0]):
        return time_base
    return 1 / guessed_rate if guessed_rate else Fraction(1, 25)


def _damage_error(path: pathlib.Path, good: int, count: int | None, missing_bytes: int) -> InputError:
    where = f"frame {good}" + (f" of {count}" if count is not None and count > good else "")
    cause = f" (the file is cut short by {missing_bytes:,} bytes)" if missing_bytes else ""
    if not good:
        return InputError(f"{path}: no frame of this video can be decoded{cause}; re-encode it or use another file")
    return InputError(
        f"{path}: {where} cannot be decoded{cause}, {good} frames before it are good; "
        f"repair or re-encode the video, or use --allow-partial to work with the first {good} frames"
    )


def _missing_bytes(path: pathlib.Path) -> int:
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


class _DecordReader(VideoReader):
    """decord behind our interface, for files where it agrees with the presentation-time table.

    decord returns wrong frames without an error where an edit list trims the track and after jumps between open groups
    of pictures, and ignores rotation. It also goes on decoding in the background after a read, which costs memory.
    """

    def __init__(self, decord: Any, exact: _PyAVReader) -> None:
        self.info = exact.info
        unfit = _decord_unfit(exact)
        if unfit:
            raise _decord_error(self.info.path, unfit)
        try:
            self._reader = decord.VideoReader(str(self.info.path), ctx=decord.cpu(0))
        except Exception as error:  # decord raises RuntimeError, DECORDError and others without a common base
            raise _decord_error(self.info.path, f"decord cannot open it ({_first_line(error)})") from error
        if len(self._reader) != self.info.frame_count:
            reason = f"decord counts {len(self._reader)} frames and the file shows {self.info.frame_count}"
            raise _decord_error(self.info.path, reason)
        self._compare(exact)

    def close(self) -> None:
        self._reader = None

    def _compare(self, exact: _PyAVReader) -> None:
        last = self.info.frame_count - 1
        for frame_id, truth in exact.iter_selected([0, last // 2, last]):
            _, picture = next(self._decode([frame_id]))
            difference = np.abs(picture.astype(np.int16) - truth) if picture.shape == truth.shape else 255
            if np.max(difference) > _DECORD_TOLERANCE:
                raise _decord_error(self.info.path, f"decord returns another picture for frame {frame_id}")

    def _decode(self, ids: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        if self._reader is None:
            raise ValueError("the reader is closed")
        for start in range(0, len(ids), _DECORD_BATCH):
            batch = ids[start : start + _DECORD_BATCH]
            try:
                pictures = self._reader.get_batch(batch).asnumpy()
            except Exception as error:  # as above
                reason = f"decord cannot read frames {batch[0]} to {batch[-1]} ({_first_line(error)})"
                raise _decord_error(self.info.path, reason) from error
            yield from zip(batch, pictures, strict=True)


def _import_decord() -> Any:
    try:
        import decord
    except ImportError as error:
        raise InputError(
            "decoder 'decord' is not installed; install it with `pip install stvg-jax[decord]` or use decoder 'pyav'"
        ) from error
    decord.logging.set_level(decord.logging.QUIET)
    return decord


def _decord_unfit(exact: _PyAVReader) -> str:
    if exact.trimmed:
        return "an edit list trims the file, where decord returns wrong frames"
    if exact.has_open_gops:
        return "the file has open groups of pictures, where decord returns wrong frames after a jump"
    if exact.info.rotation:
        return f"the file is rotated by {exact.info.rotation} degrees, which decord ignores"
    return ""


def _decord_error(path: pathlib.Path, reason: str) -> InputError:
    return InputError(f"{path}: {reason}; use decoder 'pyav' for this file")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
