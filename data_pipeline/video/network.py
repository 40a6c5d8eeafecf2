"""Videos of the network as files of this machine, for a user who asks for it."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import av
from av.error import FFmpegError

from stvg_jax.core.errors import InputError, first_line, quoted
from stvg_jax.core.progress import Progress
from stvg_jax.data_pipeline.video.container import demux, video_stream

_TIMEOUT_SEC = 30.0
_CHUNK = 1 << 20
# A playlist names files that follow each other; it is copied as a stream is.
_PLAYLIST = b"#EXTM3U"
# What ffmpeg may open for a stream: no files of this machine.
_PROTOCOLS = "http,https,tls,tcp,crypto,rtsp,rtp,udp,srtp"
_FORMATS = "hls,mpegts,mov,mp4,matroska,webm,rtsp,rtp,sdp"


@contextlib.contextmanager
def fetched(address: str, progress: Progress, *, record_sec: float | None = None) -> Iterator[Path]:
    """A video of the network in a temporary file, which is removed at the end.

    A file is copied byte for byte, so that its frames are those of a file that was downloaded before. Of a stream (RTSP
    or a playlist) the video track is copied into Matroska without being encoded again.

    Args:
        address: begins with http://, https:// or rtsp://.
        progress: shows the work.
        record_sec: seconds of a stream to take, from now on; None for all of a playlist that ends.

    Raises:
        InputError: nothing is there, it cannot be read, there is no room; or a live stream without `record_sec`.
    """
    scheme, _, path, *_ = urlsplit(address)
    with tempfile.TemporaryDirectory(prefix="stvg_jax_") as folder:
        name = re.sub(r"[^\w.-]", "_", unquote(path).rpartition("/")[2])[-100:] or "video"
        file = Path(folder) / name
        if scheme.lower().startswith("rtsp") or _download(address, file, progress):
            file = file.with_suffix(".mkv")
            _record(address, file, progress, record_sec)
        elif record_sec is not None:
            raise InputError(f"{quoted(address)} is a file, not a stream; choose a part of it by --start and --end")
        yield file


def _download(address: str, file: Path, progress: Progress) -> bool:
    """Copies a file; or returns True, having copied nothing, if it is a playlist."""
    try:
        # urllib follows redirections to http, https and ftp alone.
        with urllib.request.urlopen(address, timeout=_TIMEOUT_SEC) as response, file.open("wb") as out:
            start = response.read(len(_PLAYLIST))
            if start == _PLAYLIST:
                return True
            size = int(response.headers.get("Content-Length") or 0)
            free = shutil.disk_usage(file.parent).free
            if size > free:
                raise InputError(f"{quoted(address)} has {size:,} bytes, and {file.parent} has room for {free:,}")
            out.write(start)
            received = len(start)
            with progress.bar("fetching the video", max(size // _CHUNK, 1), "megabyte") as step:
                while chunk := response.read(_CHUNK):
                    out.write(chunk)
                    received += len(chunk)
                    step()
            if received < size:
                raise InputError(f"{quoted(address)} broke off after {received:,} of {size:,} bytes; start again")
    except (OSError, ValueError) as error:  # URLError is an OSError, as is a full disk
        reason = getattr(error, "reason", None) or first_line(error)
        raise InputError(f"{quoted(address)} cannot be fetched: {reason}") from error
    return False


def _record(address: str, file: Path, progress: Progress, seconds: float | None) -> None:
    """Copies the video track of a stream."""
    options = {"protocol_whitelist": _PROTOCOLS, "format_whitelist": _FORMATS, "rtsp_transport": "tcp"}
    options |= {"max_reload": "3", "allowed_extensions": "ALL"}
    try:
        with contextlib.closing(av.open(address, options=options, timeout=_TIMEOUT_SEC)) as source:
            duration = (source.duration or 0) / av.time_base
            if seconds is None and not duration:
                raise InputError(
                    f"{quoted(address)} is a live stream; say how much of it to take, as by --record 20 (seconds)"
                )
            track = video_stream(source, Path(file.name))
            total = seconds or duration
            with (
                av.open(str(file), "w", format="matroska") as out,
                progress.bar("recording the video", max(int(total), 1), "second") as step,
            ):
                copy = out.add_stream_from_template(track)
                for packet in _until(demux(source, track), seconds, step):
                    packet.stream = copy
                    out.mux(packet)
    except (FFmpegError, OSError, ValueError) as error:
        raise InputError(f"{quoted(address)} cannot be read: {first_line(error)}") from error


def _until(packets: Iterator[Any], seconds: float | None, step: Any) -> Iterator[Any]:
    """Packets from the first keyframe on, for so many seconds."""
    start, shown = None, 0
    for packet in packets:
        if packet.dts is None or (start is None and not packet.is_keyframe):
            continue
        start = packet.dts if start is None else start
        passed = float((packet.dts - start) * packet.time_base)
        if seconds is not None and passed >= seconds:
            return
        if int(passed) > shown:
            step(int(passed) - shown)
            shown = int(passed)
        yield packet
