"""Decoding from the start of a file or from a keyframe, up to the first damage."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

import av
import numpy as np
from av.error import FFmpegError

from stvg_jax.data_pipeline.video.container import demux, open_container, video_stream
from stvg_jax.data_pipeline.video.packets import Packets

# Decoders that do not report a missing end of a picture.
_SILENT = {"hevc"}
_TAIL = b"\xa5" * 64


class Damaged(Exception):
    """Raised if decoding does not deliver the frames that the packets promise."""


class Session:
    """One open file with its decoder.

    Args:
        limit: number of the packet before which decoding ends.
        tail: bytes put after the last packet, whose end is not checked then; None to check it.

    Attributes:
        frames: decoded frames from the start or, after `seek`, from a keyframe, in display order; raises Damaged.
        position: after Damaged while decoding from the start, the number of the damaged packet.
    """

    def __init__(
        self,
        path: pathlib.Path,
        packets: Packets,
        threads: bool = False,
        limit: int | None = None,
        tail: bytes | None = None,
    ) -> None:
        self._path, self._tail = path, tail
        self._container = open_container(path)
        self.stream = video_stream(self._container, path)
        self.stream.thread_type = "AUTO" if threads else "NONE"
        self._packets = packets
        self.position = 0
        self.frames = self._from_start(limit)

    def seek(self, pts: int) -> None:
        """Moves to the keyframe at or before `pts`; frames displayed before it are skipped."""
        try:
            self._container.seek(pts, stream=self.stream, backward=True)
        except FFmpegError as error:
            raise Damaged from error
        self.frames = self._from_keyframe()

    def close(self) -> None:
        self.frames = iter(())
        self._container.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _demux(self) -> Iterator[av.Packet]:
        for packet in demux(self._container, self.stream):
            if self._tail and packet.size and packet.pts == self._packets.pts[-1]:
                longer = av.Packet(bytes(packet) + self._tail)
                longer.pts, longer.dts, longer.time_base = packet.pts, packet.dts, packet.time_base
                longer.stream = self.stream
                yield longer
            else:
                yield packet

    def _check_end(self, frame: av.VideoFrame) -> None:
        """Raises Damaged if a recording was cut within this picture and the decoder invented its end.

        On several threads a decoder does not always report it. Bytes after a whole picture change nothing in it, but
        replace a missing end.
        """
        packets = self._packets
        # The other formats with times have the length of a packet or of the file.
        can_be_cut = self._container.format.name == "mpegts"
        if self._tail is not None or not can_be_cut or frame.pts is None or frame.pts != packets.pts[-1]:
            return
        picture = self._single(frame.pts, b"")
        other = self._single(frame.pts, _TAIL) if packets.codec in _SILENT else picture
        if picture is None or other is None or not np.array_equal(picture, other):
            self.position = len(packets.pts) - 1
            raise Damaged

    def _single(self, pts: int, tail: bytes) -> np.ndarray | None:
        """The picture at a time, decoded on one thread; None where it is damaged."""
        keys = (p for p, key in zip(self._packets.pts, self._packets.key, strict=True) if key and p is not None)
        for start in (max((p for p in keys if p <= pts), default=None), None):
            with Session(self._path, self._packets, tail=tail) as session, contextlib.suppress(Damaged):
                if start is not None:
                    session.seek(start)
                for frame in session.frames:
                    if frame.pts == pts:
                        return frame.to_ndarray()
        return None

    def _from_start(self, limit: int | None) -> Iterator[av.VideoFrame]:
        leading = self._packets.leading()
        for position, packet in enumerate(self._demux()):
            self.position = position
            if limit is not None and self.position >= limit:
                # Frames still in the decoder; it fails if even its headers are damaged.
                with contextlib.suppress(FFmpegError, EOFError):
                    yield from self.stream.codec_context.decode(None)
                return
            # The file ends within the packet, of which a part of a picture can be decoded.
            if packet.is_corrupt and self._packets.indexed:
                raise Damaged
            try:
                decoded = packet.decode()
            except (FFmpegError, EOFError) as error:
                if packet.pts in leading and not self._packets.indexed:
                    continue
                raise Damaged from error
            for frame in decoded:
                if not frame.is_corrupt:
                    self._check_end(frame)
                    yield frame
                elif frame.pts not in leading:
                    if frame.pts is not None and frame.pts in self._packets.pts:
                        self.position = self._packets.pts.index(frame.pts)
                    raise Damaged

    def _from_keyframe(self) -> Iterator[av.VideoFrame]:
        begin, begun = None, False
        for packet in self._demux():
            if begin is None:
                begin = packet.pts
            try:
                decoded = packet.decode()
            except (FFmpegError, EOFError) as error:
                # Pictures displayed before the keyframe may need some from before it.
                if packet.pts is not None and begin is not None and packet.pts < begin:
                    continue
                raise Damaged from error
            for frame in decoded:
                begun = begun or (begin is not None and frame.pts is not None and frame.pts >= begin)
                if not begun:
                    continue
                if frame.is_corrupt:
                    raise Damaged
                self._check_end(frame)
                yield frame
