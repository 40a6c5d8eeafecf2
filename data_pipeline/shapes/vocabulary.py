"""Names of everything that scenes show and sentences say, and queries made of these names."""

from __future__ import annotations

import dataclasses

VERSION = "shapes/2"

# (start, end), numbers of frames; `end` is one past the last.
Interval = tuple[int, int]

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
# Everything that a thing can do by itself; "turn red" and similar verbs fade from one colour to another.
VERBS = (*MOVES, "grow", "shrink", "spin", "blink", *TURNS)
# Movements with regard to another thing.
RELATED = ("pass above", "pass below", "approach", "retreat", "follow")
# Being there at all, and resting after a movement.
EXIST = "exist"
STOP = "stop"

# Names of the attribute labels. Directions are left out, so that mirrored pictures keep their labels.
APPEARANCE_LABELS = (*SIZES, *COLOURS, *SHAPES)
MOTION_LABELS = ("move", "grow", "shrink", "spin", "blink", "turn", "stop", "pass", "approach", "retreat", "follow")

# Relations of time: to another event, among the times of one thing, and among several things.
WHEN = ("after", "before", "while")
ORDINAL = ("first time", "second time")
RANK = ("earliest", "latest")
# Relations of place: to another thing, and to the picture.
BESIDE = ("left of", "right of", "above", "below", "closest to")
SIDES = ("on the left", "on the right", "at the top", "at the bottom")


def opposite(verb: str) -> str:
    """The verb that undoes a movement or a change of size."""
    pairs = ("left", "right"), ("up", "down"), ("grow", "shrink")
    return {a: b for pair in pairs for a, b in (pair, pair[::-1])}[verb]


def motion_label(event: str) -> str | None:
    """Entry of `MOTION_LABELS` for one of `VERBS`, `RELATED` or a stop; None for existence."""
    if event in MOVES:
        return "move"
    word = event.split()[0]
    return word if word in MOTION_LABELS else None


@dataclasses.dataclass(frozen=True)
class Noun:
    """Description of a thing; attributes that are None are not mentioned."""

    size: str | None = None
    colour: str | None = None
    shape: str | None = None


@dataclasses.dataclass(frozen=True)
class Event:
    """Event that a sentence describes.

    Attributes:
        verb: one of `VERBS` or `RELATED`, or "exist"; in a `When` also "appear" or "vanish".
        then: a second verb right after the first, or "stop".
        other: the other thing, for a verb of `RELATED`.
    """

    verb: str
    then: str | None = None
    other: Noun | None = None


@dataclasses.dataclass(frozen=True)
class When:
    """Choice among several times: `relation` is one of `WHEN` (to the anchor, another event), `ORDINAL` or `RANK`."""

    relation: str
    anchor: Query | None = None


@dataclasses.dataclass(frozen=True)
class Where:
    """Choice among several things: `relation` is one of `BESIDE` (to the thing given) or `SIDES`."""

    relation: str
    noun: Noun | None = None


@dataclasses.dataclass(frozen=True)
class Query:
    """Meaning of a sentence: the thing that `noun` and `where` describe, during the `event` that `when` chooses."""

    noun: Noun
    event: Event
    when: When | None = None
    where: Where | None = None
