"""Things for a scene, before they have a place: how they look and what they do when."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection

from stvg_jax.data_pipeline.shapes.draws import Draws
from stvg_jax.data_pipeline.shapes.queries import Noun, Query
from stvg_jax.data_pipeline.shapes.scene import RADII, UNITS, Action, Look, Stage, Thing
from stvg_jax.data_pipeline.shapes.tracks import Track
from stvg_jax.data_pipeline.shapes.vocabulary import COLOURS, DEEDS, MOVES, SHAPES, SIZES, TURNS

# Lengths of deeds in units of time, 64 to a clip.
LENGTHS = (14, 32)
_EDGE = 2  # units at the clip's ends in which nothing begins or ends
_PAUSE = 6  # units between two unconnected deeds of a thing
_SETTLE = 3  # units that a thing is there before its first deed and after its last
_JITTER = 0.06  # of a radius
_SPIN = 10.0  # degrees per unit, about: far from every symmetry of the shapes at the usual sampling steps
_SYMMETRY = {"square": 90.0, "triangle": 120.0, "star": 72.0}
_BLINK = 8.0  # units from one blink to the next
_WEIGHTS = {deed: 0.25 if deed in TURNS else 1.5 if deed in MOVES else 1.2 for deed in DEEDS}
_SAID = {("size", "colour", "shape"): 0.4, ("colour", "shape"): 0.4, ("size", "shape"): 0.1, ("size", "colour"): 0.1}


class Misfit(Exception):
    """What was drawn does not fit together; draw again."""


@dataclasses.dataclass
class Part:
    """A thing to be: its look, its deeds with their frames, and how far its movements go (None: drawn).

    `visible` is None while it may be drawn around the deeds.
    """

    look: Look
    visible: tuple[int, int] | None = None
    deeds: list[tuple[str, tuple[int, int]]] = dataclasses.field(default_factory=list)
    by: tuple[float, float] | None = None


# Whether a thing's track suits the plot, given the tracks of the things placed before it.
Condition = Callable[[Track, list[Track]], bool]


@dataclasses.dataclass(frozen=True, eq=False)
class Plot:
    """A scene without places, and what is asked about it.

    Attributes:
        kind: "appearance", "motion", "time" or "relation", and after a "/" which sort of it.
        parts: the things, in the order in which they are placed.
        target: index of the one that is meant; `interval`: (first, one past the last) frame of the answer.
        conditions: by index of the part.
    """

    kind: str
    query: Query
    parts: list[Part]
    target: int
    interval: tuple[int, int]
    conditions: dict[int, Condition] = dataclasses.field(default_factory=dict)


class Cast:
    """Draws looks, deeds and times for one scene."""

    def __init__(self, draws: Draws, stage: Stage):
        self.draws = draws
        self.stage = stage

    # ---- looks ----

    def look(self) -> Look:
        return Look(self.draws.choice(SIZES), self.draws.choice(tuple(COLOURS)), self.draws.choice(SHAPES))

    def said(self) -> tuple[str, ...]:
        """Attributes that the sentence says of the target."""
        return self.draws.weighted(_SAID)

    def noun(self, look: Look, said: tuple[str, ...]) -> Noun:
        return Noun(**{attribute: getattr(look, attribute) for attribute in said})

    def twin(self, look: Look, said: tuple[str, ...]) -> Look:
        """A look that the same noun describes."""
        return dataclasses.replace(self.look(), **{attribute: getattr(look, attribute) for attribute in said})

    def near_miss(self, look: Look, said: tuple[str, ...], attribute: str) -> Look:
        """A look that differs in one of the attributes that are said."""
        values = {"size": SIZES, "colour": tuple(COLOURS), "shape": SHAPES}[attribute]
        other = self.draws.choice([value for value in values if value != getattr(look, attribute)])
        return dataclasses.replace(self.twin(look, said), **{attribute: other})

    def near_misses(self, look: Look, said: tuple[str, ...], most: int) -> list[Look]:
        """At most `most` looks, each differing in another attribute that is said."""
        return [self.near_miss(look, said, attribute) for attribute in self.draws.shuffled(said)[:most]]

    def stranger(self, look: Look) -> Look:
        """A look of another colour and another shape."""
        colours = [colour for colour in COLOURS if colour != look.colour]
        shapes = [shape for shape in SHAPES if shape != look.shape]
        return Look(self.draws.choice(SIZES), self.draws.choice(colours), self.draws.choice(shapes))

    # ---- deeds ----

    def deed(self, look: Look, other_than: Collection[str] = (), among: Collection[str] = DEEDS) -> str:
        """Something a thing of this look can do, and can be described by doing."""
        can = {d: _WEIGHTS[d] for d in among if d not in other_than and _after(look, d) is not None}
        if not can:
            raise Misfit
        return self.draws.weighted(can)

    def slot(self, taken: Collection[tuple[int, int]] = (), lengths: tuple[int, int] = LENGTHS) -> tuple[int, int]:
        """Frames for something to happen, apart from `taken`; lengths are in units."""
        frames, edge, gap = self.stage.frames, self.stage.frames(_EDGE), self.stage.frames(_PAUSE)
        length = self.draws.integer(frames(lengths[0]), frames(lengths[1]))
        last = self.stage.frame_count - edge - length
        starts = [s for s in range(edge, last + 1) if all(s >= t[1] + gap or s + length + gap <= t[0] for t in taken)]
        if not starts:
            raise Misfit
        start = self.draws.choice(starts)
        return start, start + length

    def busy(self, part: Part, count: int, other_than: Collection[str]) -> Part:
        """Gives a part up to `count` more deeds, none of them in `other_than`."""
        for _ in range(count):
            try:
                slot = self.slot([slot for _, slot in part.deeds])
                part.deeds.append((self.deed(part.look, {*other_than, *(d for d, _ in part.deeds)}), slot))
            except Misfit:
                break
        return part

    def presence(self, shortest: int, longest: int) -> tuple[int, int]:
        """Frames during which a thing is there, from `shortest` to `longest` units, anywhere in the clip."""
        length = self.draws.integer(self.stage.frames(shortest), self.stage.frames(longest))
        start = self.draws.integer(0, self.stage.frame_count - length)
        return start, start + length

    # ---- from parts to things ----

    def make(self, part: Part) -> Thing:
        """The thing, placed nowhere yet.

        Raises:
            Misfit: it cannot do what it should, or not while it is there.
        """
        deeds = sorted(part.deeds, key=lambda deed: deed[1])
        visible = part.visible or self._around([slot for _, slot in deeds])
        if deeds and not (visible[0] < deeds[0][1][0] and deeds[-1][1][1] <= visible[1]):
            raise Misfit
        look, actions = part.look, []
        for deed, slot in deeds:
            after = _after(look, deed)
            if after is None:
                raise Misfit
            actions.append(self._action(look.shape, deed, slot, part.by))
            look = after
        return Thing(part.look, self._radius(part.look.size), visible, tuple(actions))

    def _around(self, slots: list[tuple[int, int]]) -> tuple[int, int]:
        """From the beginning or not, to the end or not, with room for the deeds."""
        settle, end = self.stage.frames(_SETTLE), self.stage.frame_count
        first = slots[0][0] if slots else end // 3
        last = slots[-1][1] if slots else 2 * end // 3
        start = self.draws.integer(0, first - settle) if first > settle and self.draws.chance(0.4) else 0
        stop = self.draws.integer(last + settle, end) if last + settle < end and self.draws.chance(0.4) else end
        return start, stop

    def _radius(self, size: str) -> float:
        return RADII[size] * self.stage.height * self.draws.uniform(1 - _JITTER, 1 + _JITTER)

    def distance(self, deed: str) -> tuple[float, float]:
        """How far a movement goes, (x, y) in pixels."""
        height = self.stage.height
        if deed in ("left", "right"):
            x = self.draws.uniform(0.28 * height, min(0.5 * self.stage.width, 0.6 * height))
            return (-x if deed == "left" else x), 0.0
        y = self.draws.uniform(0.26 * height, 0.46 * height)
        return 0.0, (-y if deed == "up" else y)

    def _action(self, shape: str, deed: str, slot: tuple[int, int], by: tuple[float, float] | None) -> Action:
        units = (slot[1] - slot[0]) / self.stage.frame_count * UNITS
        if deed in MOVES:
            return Action(deed, *slot, by=by or self.distance(deed))
        if deed == "grow":
            return Action(deed, *slot, to_radius=self._radius("big"))
        if deed == "shrink":
            return Action(deed, *slot, to_radius=self._radius("small"))
        if deed == "spin":
            step = _SYMMETRY[shape]  # it ends upright
            degrees = max(1, round(_SPIN * units / step)) * step
            return Action(deed, *slot, by=(degrees if self.draws.chance(0.5) else -degrees, 0.0))
        if deed == "blink":
            return Action(deed, *slot, by=(float(max(2, round(units / _BLINK))), 0.0))
        return Action(deed, *slot)


def _after(look: Look, deed: str) -> Look | None:
    """What a thing looks like when it has done `deed`; None if it cannot."""
    if deed == "spin":
        return None if look.shape == "circle" else look
    if deed in ("grow", "shrink"):
        size = {"grow": "big", "shrink": "small"}[deed]
        return None if look.size == size else dataclasses.replace(look, size=size)
    if deed in TURNS:
        colour = deed.split()[1]
        return None if look.colour == colour else dataclasses.replace(look, colour=colour)
    return look
