"""Files opened with ffmpeg's libraries: the container, the track to show, its packets."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Iterator
from typing import Any

import av
from av.codec.context import Flags
from av.error import ArgumentError, FFmpegError
from av.stream import Disposition

from stvg_jax.core.errors import InputError

# Formats of text that ffmpeg draws, runs or follows as a playlist, of stream descriptions and of still images: they are
# not video files, and most of them make ffmpeg open other files.
_NOT_VIDEO_FORMATS = {"tty", "hls", "dash", "concat", "image2", "imf", "sdp", "rtsp", "rtp", "sap", "vobsub"}
_NOT_VIDEO_FORMATS |= {"webm_dash_manifest", "avisynth", "vapoursynth", "lavfi"}
# Twice the pixels of an 8K frame. A decoder holds several pictures and needs a gigabyte for this size, and a file of a
# few kilobytes can claim any size.
MAX_PIXELS = 8192 * 8192
SIZE_RULE = f"at most {MAX_PIXELS:,} (8192 x 8192) are read; make them smaller, as with `ffmpeg -vf scale=1920:-2`"


def open_container(path: pathlib.Path, options: dict[str, str] | None = None) -> Any:
    """The file as a PyAV input container.

    Raises:
        InputError: ffmpeg cannot read it, or its format is not one of videos.
    """
    try:
        options = {"max_pixels": str(MAX_PIXELS), **_allowed(), **(options or {})}
        # An absolute path cannot be taken for a URL.
        return av.open(str(path.resolve()), options=options, metadata_errors="replace")
    except (FFmpegError, OSError, ValueError) as error:
        # ffmpeg's error for a format outside the whitelist.
        is_refused = isinstance(error, ArgumentError)
        reason = "a playlist or a picture" if is_refused else getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{path}: not a video file that ffmpeg can read ({reason}); it may be cut short or of another kind"
        ) from error


@functools.cache
def _allowed() -> dict[str, str]:
    """Options of ffmpeg: the formats that may be opened, and no protocol but local files."""
    allowed = [name for name in sorted(av.formats_available) if name not in _NOT_VIDEO_FORMATS]
    return {"protocol_whitelist": "file", "format_whitelist": ",".join(n for n in allowed if not n.endswith("_pipe"))}


def video_stream(container: Any, path: pathlib.Path) -> Any:
    """The track that the ffmpeg program would take: the default one, then the largest; never a cover picture.

    Raises:
        InputError: there is none, or its pictures are too large. The container is closed.
    """
    tracks = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic and s.codec_context]
    if not tracks:
        kinds = sorted({s.type for s in container.streams if s.type != "video"}) or ["nothing"]
        container.close()
        raise InputError(f"{path}: no video track in this file, only {', '.join(kinds)}; give a file with pictures")
    track = max(tracks, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height, -s.index))
    if track.width * track.height > MAX_PIXELS:
        size = f"{track.width} x {track.height}"
        container.close()
        raise InputError(f"{path}: pictures of {size} pixels; {SIZE_RULE}")
    # The decoder checks every picture, as a stream may change its size half-way.
    track.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    # Otherwise ffmpeg rounds the cropping on the left to suit the processor, and shows a wider picture.
    track.codec_context.flags |= Flags.unaligned
    return track


def demux(container: Any, stream: Any = None) -> Iterator[Any]:
    """Packets of the track (or of all), then empty ones that flush decoders. A read error ends them like the end.

    Packets lost in this way are noticed later, by the frames of the decoder or the size of the file.
    """
    packets = container.demux(stream) if stream is not None else container.demux()
    while True:
        try:
            packet = next(packets, None)
        except (FFmpegError, EOFError):
            packet = None
        except IndexError:  # PyAV, when it has read all and a track has appeared on the way
            packet = None
        if packet is None:
            return
        yield packet
