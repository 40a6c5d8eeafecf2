"""What there is in the world of shapes, and what it is called."""

from __future__ import annotations

VERSION = "shapes/2"

COLOURS = {
    "red": (222, 44, 40),
    "green": (46, 178, 70),
    "blue": (58, 96, 240),
    "yellow": (244, 214, 44),
    "purple": (176, 66, 214),
    "white": (244, 244, 244),
}
SHAPES = ("circle", "square", "triangle", "star")
SIZES = ("small", "big")
MOVES = ("left", "right", "up", "down")
TURNS = tuple(f"turn {colour}" for colour in COLOURS)
# What a thing can do. "turn red" and its like fade from one colour to another.
DEEDS = (*MOVES, "grow", "shrink", "spin", "blink", *TURNS)
# What a described event can be besides: with regard to another thing, or just being there.
RELATED = ("pass above", "pass below", "approach", "retreat", "follow")
EXIST = "exist"
STOP = "stop"

# Vocabularies of the attribute labels. Directions are left out of the second: mirrored pictures keep their labels.
APPEARANCE_LABELS = (*SIZES, *COLOURS, *SHAPES)
MOTION_LABELS = ("move", "grow", "shrink", "spin", "blink", "turn", "stop", "pass", "approach", "retreat", "follow")


def opposite(deed: str) -> str:
    """The deed that undoes a movement or a change of size."""
    pairs = ("left", "right"), ("up", "down"), ("grow", "shrink")
    return {a: b for pair in pairs for a, b in (pair, pair[::-1])}[deed]


def motion_label(event: str) -> str | None:
    """The entry of `MOTION_LABELS` for a deed, a related event or a stop; None for existence."""
    if event in MOVES:
        return "move"
    word = event.split()[0]
    return word if word in MOTION_LABELS else None
