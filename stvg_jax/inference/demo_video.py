"""A small video made by rule, whose answers are known: something to try the program on without any data."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw

from stvg_jax.inference.draw.encode import write_h264

COLOURS = {
    "orange": (240, 135, 25),
    "blue": (40, 80, 225),
    "yellow": (240, 215, 40),
    "purple": (160, 50, 200),
    "white": (245, 245, 245),
}


@dataclasses.dataclass(frozen=True)
class DemoTarget:
    """A sentence and what it describes.

    Attributes:
        sentence, subject: the sentence and the phrase in it that names the target.
        start_frame, end_frame: when the described movement goes on; the end is one past its last frame.
        boxes_xyxy: the box around the target, float32 [4], (x1, y1, x2, y2) in pixels with ends one past the last
            pixel, for every frame that shows it: before and after the movement too.
    """

    sentence: str
    subject: str
    start_frame: int
    end_frame: int
    boxes_xyxy: dict[int, np.ndarray]


@dataclasses.dataclass(frozen=True)
class DemoScene:
    """The video at `path` and its two answers; `fps` frames per second, `width` x `height` pixels."""

    path: pathlib.Path
    width: int
    height: int
    fps: int
    frame_count: int
    targets: tuple[DemoTarget, DemoTarget]


@dataclasses.dataclass(frozen=True)
class _Shape:
    """One thing on the stage: there for frames `seen`, moving from one place to the other during `moves`."""

    kind: str
    colour: tuple[int, int, int]
    size: int
    seen: tuple[int, int]
    moves: tuple[int, int]
    start_xy: tuple[float, float]
    end_xy: tuple[float, float]

    def box(self, frame: int) -> tuple[int, int, int, int] | None:
        """(x1, y1, x2, y2) in whole pixels, ends one past the last; None while it is not there."""
        if not self.seen[0] <= frame < self.seen[1]:
            return None
        done = min(max((frame - self.moves[0]) / (self.moves[1] - self.moves[0]), 0.0), 1.0)
        done = 0.5 - 0.5 * math.cos(math.pi * done)
        x, y = (round(a + done * (b - a)) for a, b in zip(self.start_xy, self.end_xy, strict=True))
        return x, y, x + self.size, y + self.size

    def draw(self, draw: ImageDraw.ImageDraw, frame: int) -> None:
        box = self.box(frame)
        if box is None:
            return
        x1, y1, x2, y2 = box[0], box[1], box[2] - 1, box[3] - 1  # Pillow's ends are inclusive
        if self.kind == "square":
            draw.rectangle((x1, y1, x2, y2), fill=self.colour)
        elif self.kind == "circle":
            draw.ellipse((x1, y1, x2, y2), fill=self.colour)
        else:
            draw.polygon(((x1, y2), (x2, y2), ((x1 + x2) // 2, y1)), fill=self.colour)


def write_demo_video(
    path: str | os.PathLike[str],
    seed: int = 0,
    width: int = 320,
    height: int = 240,
    fps: int = 10,
    seconds: float = 12.0,
) -> DemoScene:
    """Writes an H.264 MP4 of coloured shapes that appear, move, stop and vanish, and returns what there is to find.

    A small square moves to the left and a big circle moves down, at times of their own; another small square moves to
    the right and a big triangle stays where it is. The same arguments give the same scene.

    Args:
        path: the MP4 to write.
        seed: decides colours, places and times.
        width, height: pixels, at least 64 each.
        fps, seconds: frame rate and length; at least 20 frames in all.

    Raises:
        ValueError: a scene too small or too short for its shapes.
    """
    frame_count = round(fps * seconds)
    if width < 64 or height < 64 or frame_count < 20:
        raise ValueError(f"{width}x{height} with {frame_count} frames: needs 64x64 pixels and 20 frames at least")
    generator = np.random.default_rng(seed)
    background = _texture(generator, width, height)
    square, circle, others = _make_shapes(generator, width, height, frame_count)

    def frames() -> Iterator[tuple[int, np.ndarray]]:
        for frame in range(frame_count):
            image = Image.fromarray(background)
            draw = ImageDraw.Draw(image)
            for _, shape in (*others, square, circle):
                shape.draw(draw, frame)
            yield frame, np.asarray(image)

    write_h264(path, frames(), fps)
    targets = (
        _target("the small {} square", "moves to the left", square, frame_count),
        _target("the big {} circle", "moves down", circle, frame_count),
    )
    return DemoScene(pathlib.Path(path), width, height, fps, frame_count, targets)


def _texture(generator: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Soft grey-green clouds with fine grain, uint8 [height, width, 3], darker than any shape's colour."""
    coarse = generator.uniform(0.0, 1.0, (height // 32 + 2, width // 32 + 2)).astype(np.float32)
    clouds = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    grain = generator.uniform(-6.0, 6.0, (height, width))
    level = 55 + 50 * clouds + grain
    return np.clip(level[..., None] * np.array([0.95, 1.05, 1.0]), 0, 150).astype(np.uint8)


def _make_shapes(
    generator: np.random.Generator, width: int, height: int, frame_count: int
) -> tuple[tuple[str, _Shape], tuple[str, _Shape], list[tuple[str, _Shape]]]:
    """(colour name, shape) of the square and of the circle, and of what else there is.

    The square has the left two thirds to itself, the circle the right third, so that neither ever hides the other.
    """
    names = [str(name) for name in generator.permutation(list(COLOURS))[:3]]
    small, big = round(0.11 * min(width, height)), round(0.24 * min(width, height))
    border = 2 * width // 3

    def when(earliest: float, latest: float) -> int:
        return int(frame_count * generator.uniform(earliest, latest))

    moves = (when(0.2, 0.35), when(0.55, 0.7))
    seen = (int(moves[0] * generator.uniform(0.3, 0.8)), when(0.85, 0.95))
    y = generator.uniform(0.35, 0.5) * height
    square = _Shape("square", COLOURS[names[0]], small, seen, moves, (border - small - 4, y), (6, y))

    moves = (when(0.4, 0.55), when(0.75, 0.9))
    x = generator.uniform(border + 2, width - big - 2)
    top, bottom = 0.12 * height, 0.94 * height - big
    circle = _Shape("circle", COLOURS[names[1]], big, (0, frame_count), moves, (x, top), (x, bottom))

    y = generator.uniform(0.75, 0.85) * height
    whole = (0, frame_count)
    runner = _Shape(
        "square", COLOURS[names[2]], small, whole, (when(0, 0.2), when(0.6, 0.9)), (4, y), (border - small, y)
    )
    place = (generator.uniform(0.1, 0.4) * width, 0.06 * height)
    triangle = _Shape("triangle", COLOURS[names[0]], round(0.2 * height), whole, whole, place, place)
    return (names[0], square), (names[1], circle), [(names[2], runner), (names[0], triangle)]


def _target(subject: str, movement: str, named: tuple[str, _Shape], frame_count: int) -> DemoTarget:
    colour, shape = named
    subject = subject.format(colour)
    boxes = {f: np.array(box, np.float32) for f in range(frame_count) if (box := shape.box(f)) is not None}
    return DemoTarget(f"{subject} {movement}", subject, shape.moves[0], shape.moves[1], boxes)
