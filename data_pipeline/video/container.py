"""Opening a file with ffmpeg's libraries: the container, the track to show, its packets."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import av
from av.stream import Disposition

from stvg_jax.errors import InputError

# Text that ffmpeg would draw or follow as a playlist, and still images: none of them is a video file.
_NOT_VIDEO_FORMATS = {"tty", "hls", "dash", "concat", "image2", "imf", "sdp", "rtsp"}


def open_container(path: pathlib.Path) -> Any:
    """The file as PyAV's input container; InputError where ffmpeg cannot read it or it is of a kind without video."""
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


def video_stream(container: Any, path: pathlib.Path) -> Any:
    """The track that the ffmpeg program would take: the default one, then the largest; never a cover picture.

    Raises:
        InputError: there is none; the container is closed then.
    """
    tracks = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic and s.codec_context]
    if not tracks:
        kinds = sorted({s.type for s in container.streams if s.type != "video"}) or ["nothing"]
        container.close()
        raise InputError(f"{path}: no video track in this file, only {', '.join(kinds)}; give a file with pictures")
    return max(tracks, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height, -s.index))


def demux(container: Any, stream: Any = None) -> Iterator[Any]:
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
