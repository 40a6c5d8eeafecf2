"""Decoding from the start of a file or from a keyframe, stopping at the first damage."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

import av

from stvg_jax.data_pipeline.video.container import demux, open_container, video_stream
from stvg_jax.data_pipeline.video.packets import Packets


class Damaged(Exception):
    """Decoding did not deliver the frames that the packets promise."""


class Session:
    """One open file with its decoder.

    Attributes:
        frames: decoded frames from the start or, after `seek`, from a keyframe, in display order; raises Damaged.
        position: after Damaged from the start, the number of the packet to blame.
    """

    def __init__(self, path: pathlib.Path, packets: Packets, threads: bool = False, limit: int | None = None) -> None:
        self._container = open_container(path)
        self.stream = video_stream(self._container, path)
        self.stream.thread_type = "AUTO" if threads else "NONE"
        self._packets = packets
        self.position = 0
        self.frames = self._from_start(limit)

    def seek(self, pts: int) -> None:
        """Goes to the keyframe at or before `pts`, and past what is displayed before that keyframe."""
        try:
            self._container.seek(pts, stream=self.stream, backward=True)
        except av.error.FFmpegError as error:
            raise Damaged from error
        self.frames = self._from_keyframe()

    def close(self) -> None:
        self.frames = iter(())
        self._container.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _from_start(self, limit: int | None) -> Iterator[av.VideoFrame]:
        leading = self._packets.leading()
        for position, packet in enumerate(demux(self._container, self.stream)):
            self.position = position
            if limit is not None and self.position >= limit:
                # What the decoder still holds; it fails if not even its headers are good.
                with contextlib.suppress(av.error.FFmpegError, EOFError):
                    yield from self.stream.codec_context.decode(None)
                return
            # The end of the file came before the end of the packet, of which a part of a picture can be decoded.
            if packet.is_corrupt and self._packets.indexed:
                raise Damaged
            try:
                decoded = packet.decode()
            except (av.error.FFmpegError, EOFError) as error:
                if packet.pts in leading and not self._packets.indexed:
                    continue
                raise Damaged from error
            for frame in decoded:
                if not frame.is_corrupt:
                    yield frame
                elif frame.pts not in leading:
                    if frame.pts is not None and frame.pts in self._packets.pts:
                        self.position = self._packets.pts.index(frame.pts)
                    raise Damaged

    def _from_keyframe(self) -> Iterator[av.VideoFrame]:
        begin, begun = None, False
        for packet in demux(self._container, self.stream):
            if begin is None:
                begin = packet.pts
            try:
                decoded = packet.decode()
            except (av.error.FFmpegError, EOFError) as error:
                # Pictures displayed before the keyframe may need some from before it.
                if packet.pts is not None and packet.pts < begin:
                    continue
                raise Damaged from error
            for frame in decoded:
                begun = begun or (begin is not None and frame.pts is not None and frame.pts >= begin)
                if not begun:
                    continue
                if frame.is_corrupt:
                    raise Damaged
                yield frame
