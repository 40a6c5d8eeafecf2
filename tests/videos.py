"""Small test videos, made on the spot. Every frame shows its own number, so that tests can see which frame they got."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Sequence
from fractions import Fraction

import av
import numpy as np
from av.stream import Disposition

WIDTH, HEIGHT = 96, 64
_BITS = 8
_MATRIX = {
    90: (0, -1, 1, 0),
    180: (-1, 0, 0, -1),
    270: (0, 1, -1, 0),
}


def numbered_picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """uint8 [height, width, 3]: `number` (0 to 255) as black and white blocks on top, a moving gradient below.

    The gradient reddens to the right, so that a turned or mirrored picture cannot be taken for an upright one.
    """
    picture = np.zeros((height, width, 3), np.uint8)
    columns = np.arange(width)
    picture[..., 0] = columns * 255 // width
    picture[..., 1] = (columns * 2 + 3 * number) % 256
    bits = (number >> (columns * _BITS // width)) & 1
    picture[: height // 2] = (bits * 255).astype(np.uint8)[None, :, None]
    return picture


def number_in(picture: np.ndarray) -> int:
    """The number that an upright (decoded, hence inexact) numbered picture shows; -1 where it cannot be read."""
    height, width = picture.shape[:2]
    centres = (np.arange(_BITS) * 2 + 1) * width // (2 * _BITS)
    light = picture[height // 8 : height // 4, centres].mean((0, 2))
    if np.any((light > 60) & (light < 195)):
        return -1
    return int(sum(1 << bit for bit, value in enumerate(light) if value > 127))


def numbers_in(pictures: Sequence[np.ndarray] | np.ndarray) -> list[int]:
    """`number_in` for every picture."""
    return [number_in(picture) for picture in pictures]


def write_video(
    path: pathlib.Path,
    count: int = 30,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    fps: int = 10,
    codec: str = "libx264",
    gop: int = 10,
    b_frames: int = 2,
    times_ms: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    rotate: int = 0,
    draw: Callable[[int, int, int], np.ndarray] = numbered_picture,
) -> pathlib.Path:
    """Writes `count` numbered frames; the container follows from the suffix.

    Args:
        size: (width, height) of the coded pictures.
        gop: frames from one keyframe to the next; scene cuts make no others.
        rotate: degrees counter-clockwise by which pictures are turned before coding.
        draw: function from number, width and height to a picture, if not numbered ones.
        times_ms: presentation times for a variable frame rate; evenly spaced at `fps` when None.
    """
    with av.open(str(path), "w", options=container_options or {}) as container:
        extra = {"sc_threshold": "0", "preset": "veryfast", "crf": "18"} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=fps, options=extra | (options or {}))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = gop, b_frames
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(count):
            upright = draw(number, *(size if rotate % 180 == 0 else size[::-1]))
            picture = np.ascontiguousarray(np.rot90(upright, k=rotate // 90))
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = stream.codec_context.time_base if times_ms is not None else Fraction(1, fps)
            frame.pts = number if times_ms is None else times_ms[number]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def add_cover(source: pathlib.Path, path: pathlib.Path) -> pathlib.Path:
    """Copies a video into an MP4 that also holds a cover picture, larger than the frames."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        track = old.streams.video[0]
        stream = new.add_stream_from_template(track)
        cover = new.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 2 * WIDTH, 2 * HEIGHT, "yuvj420p"
        cover.disposition = Disposition.attached_pic.value
        picture = av.VideoFrame.from_ndarray(numbered_picture(99, 2 * WIDTH, 2 * HEIGHT), format="rgb24")
        new.mux([*cover.encode(picture), *cover.encode()])
        for packet in old.demux(track):
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    return path


def write_two_tracks(path: pathlib.Path, count: int = 5) -> pathlib.Path:
    """Writes a file with two video tracks: a small one that shows 100 and up, then a larger one that shows 0 and up."""
    with av.open(str(path), "w") as container:
        tracks = {}
        for first, scale in ((100, 2), (0, 1)):
            stream = tracks[first] = container.add_stream("mpeg4", rate=10, options={"qscale": "2"})
            stream.width, stream.height, stream.pix_fmt = WIDTH // scale, HEIGHT // scale, "yuv420p"
        for first, stream in tracks.items():
            for number in range(count):
                picture = numbered_picture(first + number, stream.width, stream.height)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 10)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


def write_audio(path: pathlib.Path, seconds: float = 1.0) -> pathlib.Path:
    """Writes a file that holds one silent sound track and no pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le" if path.suffix == ".wav" else "aac", rate=16000)
        for start in range(0, int(seconds * 16000), 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut_without_encoding(source: pathlib.Path, path: pathlib.Path, first: int, fps: int = 10) -> pathlib.Path:
    """Copies the packets of `source` from the keyframe before frame `first` on, with frame `first` at time 0.

    As `ffmpeg -ss ... -c copy` does: in an MP4 the frames before `first` are still there for the decoder and an edit
    list hides them.
    """
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        track = old.streams.video[0]
        stream = new.add_stream_from_template(track)
        zero = int(first / fps / track.time_base)
        packets = [p for p in old.demux(track) if p.size]
        begin = max(i for i, p in enumerate(packets) if p.is_keyframe and p.pts <= zero)
        for packet in packets[begin:]:
            packet.pts, packet.dts, packet.stream = packet.pts - zero, packet.dts - zero, stream
            new.mux(packet)
    return path


def write_rotated(path: pathlib.Path, degrees: int, count: int = 12) -> pathlib.Path:
    """Writes an MP4 that players turn counter-clockwise by 90, 180 or 270 degrees to show upright numbered frames."""
    size = (WIDTH, HEIGHT) if degrees == 180 else (HEIGHT, WIDTH)
    return _turn(write_video(path, count, size, rotate=-degrees), degrees)


def _turn(path: pathlib.Path, degrees: int) -> pathlib.Path:
    """Sets the display matrix of an MP4 in place."""
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd")
    # Version 0 of the box: version and flags, five times, eight reserved bytes, four 16-bit fields, then the matrix.
    place = header + 4 + 4 + 20 + 8 + 8
    a, b, c, d = _MATRIX[degrees]
    rows = (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    data[place : place + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in rows)
    path.write_bytes(data)
    return path


def truncate(path: pathlib.Path, fraction: float = 0.6) -> pathlib.Path:
    """Cuts a file short in place, keeping this fraction of its bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    return path


def damage_frame(path: pathlib.Path, number: int, fps: int = 10) -> pathlib.Path:
    """Overwrites the coded data of frame `number` in place, leaving sizes and times as they were."""
    with av.open(str(path)) as container:
        track = container.streams.video[0]
        packet = next(p for p in container.demux(track) if p.size and round(p.pts * track.time_base * fps) == number)
        payload = bytes(packet)
    data = bytearray(path.read_bytes())
    place = data.index(payload)
    data[place : place + len(payload)] = b"\xff" * len(payload)
    path.write_bytes(data)
    return path
