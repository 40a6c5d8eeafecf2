"""Frames of scenes, drawn by formulas so that no drawing library decides a pixel, and H.264 files of them."""

from __future__ import annotations

import fractions
import itertools
import os
import pathlib
import tempfile
from collections.abc import Iterable

import av
import numpy as np

from stvg_jax.core.files import whole_path
from stvg_jax.data_pipeline.shapes.draws import Draws
from stvg_jax.data_pipeline.shapes.scene import STRETCH, Background, Scene, Stage, Track, track
from stvg_jax.data_pipeline.shapes.vocabulary import Interval

# Number of sides, angle of the first one's normal in degrees, and distances of sides and corners from the centre,
# relative to that of STRETCH.
_SIDES = {
    "square": (4, 0.0, 1.0, 2**0.5),
    "triangle": (3, 180.0, 0.5, 1.0),
    "star": (5, 0.0, np.cos(np.radians(72)), 1.0),
}
_BT709 = 1
# With one thread and without "mbtree", whose assembly varies, the same frames give the same bytes with the same x264.
_OPTIONS = {"crf": "18", "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"}


def draw_frames(scene: Scene) -> np.ndarray:
    """All frames of a scene, uint8 [n, height, width, 3] RGB, with smooth edges."""
    stage = scene.stage
    tracks = [track(thing, stage.frame_count) for thing in scene.things]
    # A margin for windows that reach over the border of the picture.
    margin = max(int(np.ceil(t.reach().max())) for t in tracks) + 2
    picture = np.pad(draw_background(scene.background, stage), ((margin, margin), (margin, margin), (0, 0)))
    frames = np.repeat(picture[None], stage.frame_count, axis=0)
    for t in tracks:
        _draw_thing(frames, t, margin)
    return np.ascontiguousarray(frames[:, margin:-margin, margin:-margin])


def draw_background(background: Background, stage: Stage) -> np.ndarray:
    """The background alone, uint8 [height, width, 3] RGB."""
    draws = Draws("background", background.seed)
    height, width = stage.height, stage.width
    y, x = np.mgrid[:height, :width] / height
    if background.kind == "plain":
        light = np.zeros((height, width))
    elif background.kind == "clouds":
        light = _interpolate(draws.uniforms(5, 6), y * 4 / y.max(), x * 5 / x.max())
    else:
        turn = 2 * np.pi * draws.uniform(0, 1)
        along = x * np.cos(turn) + y * np.sin(turn)
        along = (along - along.min()) / (along.max() - along.min())
        light = along if background.kind == "gradient" else 0.5 + 0.5 * np.sin(along * 2 * np.pi * draws.integer(3, 6))
    dark, bright = (np.array(colour, np.float64) for colour in (background.dark, background.light))
    grain = background.grain * (2 * draws.uniforms(height, width) - 1)
    return np.clip(np.rint(dark + light[..., None] * (bright - dark) + grain[..., None]), 0, 255).astype(np.uint8)


def _interpolate(grid: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Smooth values of `grid` at real positions."""
    y0, x0 = (np.minimum(v.astype(int), n - 2) for v, n in zip((y, x), grid.shape, strict=True))
    fy, fx = (3 * f**2 - 2 * f**3 for f in (y - y0, x - x0))
    top = grid[y0, x0] * (1 - fx) + grid[y0, x0 + 1] * fx
    bottom = grid[y0 + 1, x0] * (1 - fx) + grid[y0 + 1, x0 + 1] * fx
    return top * (1 - fy) + bottom * fy


def _draw_thing(frames: np.ndarray, t: Track, margin: int) -> None:
    """Draws a thing into `frames`, uint8 [n, height + 2 margin, width + 2 margin, 3]."""
    half = int(np.ceil(t.reach().max())) + 1
    corner = np.floor(t.xy).astype(int)  # of a window of side 2 * half around the thing; `margin - half` too small
    steps = np.arange(2 * half) + 0.5 - half
    for start, end in _runs(t):
        dx, dy = (steps + v for v in corner[start] - t.xy[start])
        inside = _depth(t.shape, dx[None], dy[:, None], STRETCH[t.shape] * t.radius[start], t.angle[start])
        cover = (np.clip(inside + 0.5, 0.0, 1.0) * t.opacity[start])[..., None]
        x, y = corner[start] + margin - half
        window = frames[start:end, y : y + 2 * half, x : x + 2 * half]
        window[:] = np.rint(window + cover * (t.rgb[start] - window))


def _runs(t: Track) -> list[Interval]:
    """Intervals of frames that show the thing unchanged."""
    state = np.column_stack([t.xy, t.radius, t.angle, t.opacity, t.rgb, t.visible])
    changes = np.flatnonzero((state[1:] != state[:-1]).any(1)) + 1
    bounds = [0, *changes.tolist(), len(state)]
    return [(a, b) for a, b in zip(bounds, bounds[1:], strict=False) if t.visible[a]]


def _depth(shape: str, dx: np.ndarray, dy: np.ndarray, extent: float, angle: float) -> np.ndarray:
    """Depth of points inside a shape in pixels, negative outside: [1, w], [h, 1] -> [h, w]."""
    if shape == "circle":
        return extent - np.hypot(dx, dy)
    count, first, distance, corner = _SIDES[shape]
    normals = np.radians(first + np.arange(count) * 360 / count + angle)[:, None, None]
    depths = distance * extent - (dx * np.sin(normals) - dy * np.cos(normals))
    # A point is inside a five-pointed star if it lies beyond at most one of its five lines.
    depth = np.partition(depths, 1, axis=0)[1] if shape == "star" else depths.min(0)
    # Smooth edges would lengthen sharp corners.
    return np.minimum(depth, corner * extent - np.hypot(dx, dy))


def write_video(path: str | os.PathLike[str], frames: Iterable[np.ndarray], fps: int) -> None:
    """Writes frames, one or more uint8 [height, width, 3] RGB of even size, as an MP4; whole or not at all."""
    rest = iter(frames)
    first = next(rest)
    pictures = (av.VideoFrame.from_ndarray(rgb, format="rgb24") for rgb in itertools.chain([first], rest))
    _write(path, (p.reformat(format="yuv420p", dst_colorspace="ITU709") for p in pictures), first.shape[:2], fps)


def write_enlarged(path: str | os.PathLike[str], frames: np.ndarray, fps: int, factor: int) -> None:
    """Writes an enlarged copy of the video of `write_video`, for people to look at: every side `factor` times as long.

    The decoded video is enlarged, not the drawing: models have learned from its colours, which are coded at half size.
    """
    height, width = (side * factor for side in frames.shape[1:3])
    with tempfile.TemporaryDirectory() as folder:
        small = pathlib.Path(folder) / "small.mp4"
        write_video(small, frames, fps)
        with av.open(str(small)) as container:
            decoded = container.decode(container.streams.video[0])
            enlarged = (p.reformat(width=width, height=height, interpolation="BICUBIC") for p in decoded)
            _write(path, enlarged, (height, width), fps)


def _write(path: str | os.PathLike[str], pictures: Iterable[av.VideoFrame], size: tuple[int, int], fps: int) -> None:
    with (
        whole_path(pathlib.Path(path)) as partial,
        av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        stream = container.add_stream("libx264", rate=fps, options=_OPTIONS)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        for number, picture in enumerate(pictures):
            picture.pts, picture.time_base = number, fractions.Fraction(1, fps)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
