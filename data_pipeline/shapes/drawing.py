"""Scenes into pictures, by formula: no drawing library decides a pixel."""

from __future__ import annotations

import numpy as np

from stvg_jax.data_pipeline.shapes.draws import Draws
from stvg_jax.data_pipeline.shapes.scene import STRETCH, Background, Scene, Stage
from stvg_jax.data_pipeline.shapes.tracks import Track, track

# Sides: their number, the angle of the first one's normal, and their distance and that of the corners from the centre,
# over the one that STRETCH gives.
_SIDES = {
    "square": (4, 0.0, 1.0, 2**0.5),
    "triangle": (3, 180.0, 0.5, 1.0),
    "star": (5, 0.0, np.cos(np.radians(72)), 1.0),
}


def draw_frames(scene: Scene) -> np.ndarray:
    """uint8 [n, height, width, 3], RGB, edges anti-aliased."""
    stage = scene.stage
    tracks = [track(thing, stage.frame_count) for thing in scene.things]
    # Room around the picture for windows that reach over its border.
    margin = max(int(np.ceil(t.reach().max())) for t in tracks) + 2
    picture = np.pad(draw_background(scene.background, stage), ((margin, margin), (margin, margin), (0, 0)))
    frames = np.repeat(picture[None], stage.frame_count, axis=0)
    for t in tracks:
        _draw_thing(frames, t, margin)
    return np.ascontiguousarray(frames[:, margin:-margin, margin:-margin])


def draw_background(background: Background, stage: Stage) -> np.ndarray:
    """uint8 [height, width, 3]."""
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
    """`grid` at real positions, smoothly."""
    y0, x0 = (np.minimum(v.astype(int), n - 2) for v, n in zip((y, x), grid.shape, strict=True))
    fy, fx = (3 * f**2 - 2 * f**3 for f in (y - y0, x - x0))
    top = grid[y0, x0] * (1 - fx) + grid[y0, x0 + 1] * fx
    bottom = grid[y0 + 1, x0] * (1 - fx) + grid[y0 + 1, x0 + 1] * fx
    return top * (1 - fy) + bottom * fy


def _draw_thing(frames: np.ndarray, t: Track, margin: int) -> None:
    """Draws into uint8 [n, height + 2 margin, width + 2 margin, 3]."""
    half = int(np.ceil(t.reach().max())) + 1
    corner = np.floor(t.xy).astype(int)  # upper left corner of a window centred on the thing, `margin` - `half` off
    steps = np.arange(2 * half) + 0.5 - half
    for first, end in _runs(t):
        dx, dy = (steps + v for v in corner[first] - t.xy[first])
        inside = _depth(t.shape, dx[None], dy[:, None], STRETCH[t.shape] * t.radius[first], t.angle[first])
        cover = (np.clip(inside + 0.5, 0.0, 1.0) * t.opacity[first])[..., None]
        x, y = corner[first] + margin - half
        window = frames[first:end, y : y + 2 * half, x : x + 2 * half]
        window[:] = np.rint(window + cover * (t.rgb[first] - window))


def _runs(t: Track) -> list[tuple[int, int]]:
    """Spans of frames that show the thing unchanged, ends excluded."""
    state = np.column_stack([t.xy, t.radius, t.angle, t.opacity, t.rgb, t.visible])
    changes = np.flatnonzero((state[1:] != state[:-1]).any(1)) + 1
    bounds = [0, *changes.tolist(), len(state)]
    return [(a, b) for a, b in zip(bounds, bounds[1:], strict=False) if t.visible[a]]


def _depth(shape: str, dx: np.ndarray, dy: np.ndarray, extent: float, angle: float) -> np.ndarray:
    """How far inside the shape a point is, in pixels; negative outside. [1, w], [h, 1] -> [h, w]."""
    if shape == "circle":
        return extent - np.hypot(dx, dy)
    count, first, distance, corner = _SIDES[shape]
    normals = np.radians(first + np.arange(count) * 360 / count + angle)[:, None, None]
    depths = distance * extent - (dx * np.sin(normals) - dy * np.cos(normals))
    # A five-pointed star is where at most one of its five lines is crossed.
    depth = np.partition(depths, 1, axis=0)[1] if shape == "star" else depths.min(0)
    # Soft edges would lengthen sharp corners.
    return np.minimum(depth, corner * extent - np.hypot(dx, dy))
