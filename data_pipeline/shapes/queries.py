"""What a sentence asks, in a form that can be worded and answered."""

from __future__ import annotations

import dataclasses

WHEN = ("after", "before", "while")
ORDINAL = ("first time", "second time")
RANK = ("earliest", "latest")
BESIDE = ("left of", "right of", "above", "below", "closest to")
SIDES = ("on the left", "on the right", "at the top", "at the bottom")


@dataclasses.dataclass(frozen=True)
class Noun:
    """A description of a thing; what is None is not said."""

    size: str | None = None
    colour: str | None = None
    shape: str | None = None


@dataclasses.dataclass(frozen=True)
class Event:
    """What goes on.

    Attributes:
        deed: one of `vocabulary.DEEDS` or `vocabulary.RELATED`, or "exist"; of an anchor also "appear" and "vanish".
        then: a second deed right after the first one, or "stop".
        other: the other thing of a related event.
    """

    deed: str
    then: str | None = None
    other: Noun | None = None


@dataclasses.dataclass(frozen=True)
class When:
    """Which of several times: `relation` is one of `WHEN` (with the anchor event), of `ORDINAL` or of `RANK`."""

    relation: str
    noun: Noun | None = None
    event: Event | None = None


@dataclasses.dataclass(frozen=True)
class Where:
    """Which of several things: `relation` is one of `BESIDE` (with the other thing) or of `SIDES`."""

    relation: str
    noun: Noun | None = None


@dataclasses.dataclass(frozen=True)
class Query:
    """One sentence's meaning: the thing described by `noun` at `where`, during `event`, the one of `when`."""

    noun: Noun
    event: Event
    when: When | None = None
    where: Where | None = None
