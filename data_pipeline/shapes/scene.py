"""Scenes as numbers, and the tracks of their things over the frames."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np

from stvg_jax.data_pipeline.shapes.vocabulary import COLOURS, MOVES, SHAPES, Interval

# Units of time in a clip, whatever its number of frames.
UNITS = 64
# Radii, relative to the height of the picture.
RADII = {"small": 0.12, "big": 0.19}
# Half side of a square, distance of the corners of a triangle and a star, relative to the radius: all shapes look
# about equally large.
STRETCH = {"circle": 1.0, "square": 0.89, "triangle": 1.25, "star": 1.25}
# Radius of the circle around a shape in any rotation, relative to its radius.
REACH = {"circle": 1.0, "square": 0.89 * 2**0.5, "triangle": 1.25, "star": 1.25}
assert set(STRETCH) == set(REACH) == set(SHAPES)
# Corners of upright shapes, degrees clockwise from the top.
_CORNERS = {"square": 45 + 90 * np.arange(4), "triangle": 120 * np.arange(3), "star": 72 * np.arange(5)}
_FAINTEST = 0.2  # lowest opacity of a blinking thing
# Keys of the digest that differ from the names of fields: digests belong to the version of the dataset.
_DIGEST_KEYS = {"verb": "deed"}


@dataclasses.dataclass(frozen=True)
class Stage:
    """Size of the picture in pixels and length of the clip in frames."""

    width: int
    height: int
    frame_count: int

    def frames(self, units: float) -> int:
        """Number of frames in a time given in units, 64 to a clip."""
        return round(units * self.frame_count / UNITS)


@dataclasses.dataclass(frozen=True)
class Look:
    """Look of a thing at first: a key of `RADII`, a key of `COLOURS`, one of `SHAPES`."""

    size: str
    colour: str
    shape: str


@dataclasses.dataclass(frozen=True)
class Action:
    """Change of a thing: frame `start` shows its first step, frame `end - 1` its last.

    Attributes:
        verb: one of `vocabulary.VERBS`.
        by: offset of a movement, (x, y) in pixels; (degrees, 0) of a rotation; (number of times, 0) of blinking.
        to_radius: radius after growing or shrinking, pixels.
    """

    verb: str
    start: int
    end: int
    by: tuple[float, float] = (0.0, 0.0)
    to_radius: float = 0.0


@dataclasses.dataclass(frozen=True)
class Thing:
    """A coloured shape.

    Attributes:
        look: its look at first.
        radius: its radius at first, pixels.
        visible: frames that show it.
        actions: its changes, in the order of time, none overlapping another.
        x, y: its centre at first, pixels from the upper left corner of the picture.
    """

    look: Look
    radius: float
    visible: Interval
    actions: tuple[Action, ...] = ()
    x: float = 0.0
    y: float = 0.0


@dataclasses.dataclass(frozen=True)
class Background:
    """Dim picture behind the things.

    Attributes:
        kind: "plain", "gradient", "clouds" or "stripes".
        dark, light: RGB, 0 to 255.
        grain: amplitude of the noise over it.
        seed: seed of the pattern and of the noise.
    """

    kind: str
    dark: tuple[int, int, int]
    light: tuple[int, int, int]
    grain: float
    seed: int


@dataclasses.dataclass(frozen=True)
class Scene:
    """A video as numbers; its things never overlap and never leave the picture."""

    stage: Stage
    background: Background
    things: tuple[Thing, ...]

    def digest(self) -> str:
        """SHA-256 (hexadecimal) of all numbers, coordinates to a millionth of a pixel."""
        description = json.dumps(_described(dataclasses.asdict(self)), sort_keys=True)
        return hashlib.sha256(description.encode()).hexdigest()


def _described(value):
    if isinstance(value, dict):
        return {_DIGEST_KEYS.get(key, key): _described(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_described(entry) for entry in value]
    return round(value, 6) if isinstance(value, float) else value


@dataclasses.dataclass(frozen=True, eq=False)
class Track:
    """State of a thing in all n frames of the clip, including those that do not show it.

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
        """Radius of the circle around the shape in any rotation, float64 [n], pixels."""
        return REACH[self.shape] * self.radius

    def boxes_xyxy(self) -> np.ndarray:
        """Smallest box around the shape, float64 [n, 4], (x1, y1, x2, y2) in pixels."""
        extent = (STRETCH[self.shape] * self.radius)[:, None]
        if self.shape == "circle":
            return np.concatenate([self.xy - extent, self.xy + extent], axis=1)
        angles = np.radians(_CORNERS[self.shape] + self.angle[:, None])
        distance = extent * (2**0.5 if self.shape == "square" else 1.0)
        xs = self.xy[:, :1] + distance * np.sin(angles)
        ys = self.xy[:, 1:] - distance * np.cos(angles)
        return np.stack([xs.min(1), ys.min(1), xs.max(1), ys.max(1)], axis=1)


def track(thing: Thing, frame_count: int) -> Track:
    """Track of a thing over a clip of `frame_count` frames."""
    frames = np.arange(frame_count)
    xy = np.tile(np.array([thing.x, thing.y], np.float64), (frame_count, 1))
    radius = np.full(frame_count, thing.radius)
    angle = np.zeros(frame_count)
    opacity = np.ones(frame_count)
    rgb = np.tile(np.array(COLOURS[thing.look.colour], np.float64), (frame_count, 1))
    for action in thing.actions:
        done = np.clip((frames - action.start + 1) / (action.end - action.start), 0.0, 1.0)
        if action.verb in MOVES:
            xy += done[:, None] * np.array(action.by)
        elif action.verb in ("grow", "shrink"):
            radius += done * (action.to_radius - radius)
        elif action.verb == "spin":
            angle += done * action.by[0]
        elif action.verb == "blink":
            opacity -= (1 - _FAINTEST) * (0.5 - 0.5 * np.cos(2 * np.pi * done * action.by[0]))
        else:
            rgb += done[:, None] * (np.array(COLOURS[action.verb.split()[1]]) - rgb)
    visible = (frames >= thing.visible[0]) & (frames < thing.visible[1])
    return Track(thing.look.shape, visible, xy, radius, angle, opacity, rgb)
