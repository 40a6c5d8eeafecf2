"""Where and how every thing is in every frame."""

from __future__ import annotations

import dataclasses

import numpy as np

from stvg_jax.data_pipeline.shapes.scene import REACH, STRETCH, Thing
from stvg_jax.data_pipeline.shapes.vocabulary import COLOURS, MOVES

# Corners at angle 0, counted from the top; the picture's y axis points down.
_CORNERS = {"square": 45 + 90 * np.arange(4), "triangle": 120 * np.arange(3), "star": 72 * np.arange(5)}
_FAINTEST = 0.2  # opacity of a blinking thing at its lowest


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """A thing over all n frames of the clip, those that do not show it too.

    Attributes:
        shape: one of `vocabulary.SHAPES`.
        visible: bool [n].
        xy: float64 [n, 2], centre in pixels.
        radius: float64 [n], pixels.
        angle: float64 [n], degrees clockwise.
        opacity: float64 [n] in [0, 1].
        rgb: float64 [n, 3] in 0 .. 255.
    """

    shape: str
    visible: np.ndarray
    xy: np.ndarray
    radius: np.ndarray
    angle: np.ndarray
    opacity: np.ndarray
    rgb: np.ndarray

    def reach(self) -> np.ndarray:
        """float64 [n]: radius of the circle around the shape, however it is turned."""
        return REACH[self.shape] * self.radius

    def boxes_xyxy(self) -> np.ndarray:
        """float64 [n, 4], (x1, y1, x2, y2): the smallest box around the shape, in pixels."""
        extent = (STRETCH[self.shape] * self.radius)[:, None]
        if self.shape == "circle":
            return np.concatenate([self.xy - extent, self.xy + extent], axis=1)
        angles = np.radians(_CORNERS[self.shape] + self.angle[:, None])
        distance = extent * (2**0.5 if self.shape == "square" else 1.0)
        xs = self.xy[:, :1] + distance * np.sin(angles)
        ys = self.xy[:, 1:] - distance * np.cos(angles)
        return np.stack([xs.min(1), ys.min(1), xs.max(1), ys.max(1)], axis=1)


def track(thing: Thing, frame_count: int) -> Track:
    """Plays a thing's actions.

    Args:
        frame_count: n, the length of the clip.
    """
    frames = np.arange(frame_count)
    xy = np.tile(np.array([thing.x, thing.y], np.float64), (frame_count, 1))
    radius = np.full(frame_count, thing.radius)
    angle = np.zeros(frame_count)
    opacity = np.ones(frame_count)
    rgb = np.tile(np.array(COLOURS[thing.look.colour], np.float64), (frame_count, 1))
    for action in thing.actions:
        done = np.clip((frames - action.start + 1) / (action.end - action.start), 0.0, 1.0)
        if action.deed in MOVES:
            xy += done[:, None] * np.array(action.by)
        elif action.deed in ("grow", "shrink"):
            radius += done * (action.to_radius - radius)
        elif action.deed == "spin":
            angle += done * action.by[0]
        elif action.deed == "blink":
            opacity -= (1 - _FAINTEST) * (0.5 - 0.5 * np.cos(2 * np.pi * done * action.by[0]))
        else:
            rgb += done[:, None] * (np.array(COLOURS[action.deed.split()[1]]) - rgb)
    visible = (frames >= thing.visible[0]) & (frames < thing.visible[1])
    return Track(thing.look.shape, visible, xy, radius, angle, opacity, rgb)
