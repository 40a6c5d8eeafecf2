"""A scene: everything that a video shows, as numbers."""

from __future__ import annotations

import dataclasses
import hashlib
import json

from stvg_jax.data_pipeline.shapes.vocabulary import SHAPES

# Times are drawn in units of which a clip has this many, whatever its number of frames.
UNITS = 64
# Radius over the height of the picture.
RADII = {"small": 0.12, "big": 0.19}
# Of the square's half side, of the triangle's and the star's corners, over the radius: about equally large to the eye.
STRETCH = {"circle": 1.0, "square": 0.89, "triangle": 1.25, "star": 1.25}
# Radius of the circle around a shape in any rotation, over its radius.
REACH = {"circle": 1.0, "square": 0.89 * 2**0.5, "triangle": 1.25, "star": 1.25}
assert set(STRETCH) == set(REACH) == set(SHAPES)


@dataclasses.dataclass(frozen=True)
class Stage:
    """Where and how long: pixels and frames."""

    width: int
    height: int
    frame_count: int

    def frames(self, units: float) -> int:
        """A time in units (64 to a clip) as a number of frames."""
        return round(units * self.frame_count / UNITS)


@dataclasses.dataclass(frozen=True)
class Look:
    """How a thing looks at first: keys of `RADII` and `COLOURS`, one of `SHAPES`."""

    size: str
    colour: str
    shape: str


@dataclasses.dataclass(frozen=True)
class Action:
    """What a thing does in frames start .. end - 1: frame `start` shows the first step, frame `end` - 1 the last one.

    Attributes:
        deed: one of `vocabulary.DEEDS`.
        by: of a movement, how far, (x, y) in pixels; of a rotation, (degrees, 0); of a blinking, (times, 0).
        to_radius: of growing and shrinking, pixels.
    """

    deed: str
    start: int
    end: int
    by: tuple[float, float] = (0.0, 0.0)
    to_radius: float = 0.0


@dataclasses.dataclass(frozen=True)
class Thing:
    """A shape: how it looks, when it is there (frames, end excluded), what it does one after another, where it begins.

    `x`, `y`: centre in pixels, the picture's upper left corner being (0, 0); `radius` in pixels.
    """

    look: Look
    radius: float
    visible: tuple[int, int]
    actions: tuple[Action, ...] = ()
    x: float = 0.0
    y: float = 0.0


@dataclasses.dataclass(frozen=True)
class Background:
    """A dim picture: `kind` is "plain", "gradient", "clouds" or "stripes"; colours are RGB in 0 .. 255.

    `grain`: amplitude of the noise over it. `seed`: of everything that is drawn at random.
    """

    kind: str
    dark: tuple[int, int, int]
    light: tuple[int, int, int]
    grain: float
    seed: int


@dataclasses.dataclass(frozen=True)
class Scene:
    """The things of a video, which never overlap and never leave the picture."""

    stage: Stage
    background: Background
    things: tuple[Thing, ...]

    def digest(self) -> str:
        """SHA-256 (hexadecimal) of the whole description, coordinates to a millionth of a pixel."""
        description = json.dumps(_rounded(dataclasses.asdict(self)), sort_keys=True)
        return hashlib.sha256(description.encode()).hexdigest()


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(entry) for entry in value]
    return round(value, 6) if isinstance(value, float) else value
