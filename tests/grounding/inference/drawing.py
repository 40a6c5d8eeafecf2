"""Tubes to draw, and what was drawn of them."""

from __future__ import annotations

import av
import numpy as np

from stvg_jax.grounding.inference.tube import FrameScores, Tube

LONG = "In the crowded kitchen, the very tall bald man in the dark jacket " + "talks and talks " * 40 + "and leaves"


def make_tube(
    width=160,
    height=120,
    fps=25.0,
    clip=(0, 12),
    interval=(4, 8),
    box=(50, 50, 110, 100),
    sentence="the man in red walks to the door",
    subject="the man in red",
):
    frames = np.arange(*clip)
    boxes = np.tile(np.asarray(box, np.float32), (len(frames), 1))
    score = np.linspace(0, 1, len(frames), dtype=np.float32)
    scores = FrameScores(frames, score, score[::-1], score, score, frames % 2)
    start, end = interval
    return Tube(
        "a/video.mp4", sentence, subject, width, height, fps, clip, start, end, start / fps, end / fps, frames, boxes,
        scores,
    )  # fmt: skip


def plain(tube, value=120):
    """Grey frames of the clip: whatever is not grey was drawn."""
    for frame in range(*tube.clip):
        yield frame, np.full((tube.height, tube.width, 3), value, np.uint8)


def decode(path):
    """Frames as int [h, w, 3], rate, codec."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(stream)]
        return frames, stream.average_rate, stream.codec_context.name


def pictures(path, tube):
    """The video's own pictures within the frames of tube.mp4, without caption and bar: int [tube height, width, 3]."""
    frames = decode(path)[0]
    bar = max(4, round(0.022 * min(tube.width, tube.height)))
    bottom = frames[0].shape[0] - bar
    top = (bottom - tube.height) // 2 * 2
    return [frame[top : top + tube.height, : tube.width] for frame in frames]


def times_of(path):
    """Start of each frame and end of the last one, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        ends = [float((packet.pts + packet.duration) * packet.time_base) for packet in packets]
    with av.open(str(path)) as container:
        shown = [float(frame.pts * frame.time_base) for frame in container.decode(container.streams.video[0])]
    return [*shown, max(ends)]


def redness(frame):
    return frame[..., 0] - frame[..., 1]
