"""Parts of a scene: looks, verbs and times, drawn at random, and places where none touches another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection

import numpy as np

from stvg_jax.data_pipeline.shapes.draws import Draws
from stvg_jax.data_pipeline.shapes.scene import RADII, UNITS, Action, Look, Stage, Thing, Track, track
from stvg_jax.data_pipeline.shapes.vocabulary import COLOURS, MOVES, SHAPES, SIZES, TURNS, VERBS, Interval, Noun, Query

# Times in units, 64 to a clip.
LENGTHS = (14, 32)  # shortest and longest action
_EDGE = 2  # at the ends of the clip, where no action begins or ends
_PAUSE = 6  # between two unconnected actions of a thing
_SETTLE = 3  # for which a thing is shown before its first action and after its last
_TRIES = 512  # places tried for each thing
_GAP = 2.0  # smallest distance between two things and to the border, pixels
_JITTER = 0.06  # largest deviation of a radius, relative to it
_SPIN = 10.0  # degrees per unit, approximately: far from every symmetry of the shapes at the usual sampling steps
_SYMMETRY = {"square": 90.0, "triangle": 120.0, "star": 72.0}
_BLINK = 8.0  # from one blink to the next
_WEIGHTS = {verb: 0.25 if verb in TURNS else 1.5 if verb in MOVES else 1.2 for verb in VERBS}
_SAID = {("size", "colour", "shape"): 0.4, ("colour", "shape"): 0.4, ("size", "shape"): 0.1, ("size", "colour"): 0.1}


class Misfit(Exception):
    """Raised if random choices do not fit together; the caller draws again."""


@dataclasses.dataclass
class Part:
    """Plan of a thing.

    Attributes:
        look: its look at first.
        visible: frames that show it; drawn to enclose its actions when None.
        verbs: its actions, as verbs with their frames.
        by: offset of its movements, (x, y) in pixels; drawn when None.
    """

    look: Look
    visible: Interval | None = None
    verbs: list[tuple[str, Interval]] = dataclasses.field(default_factory=list)
    by: tuple[float, float] | None = None


# True for a track that suits the plot, given the tracks of the things placed before it.
Condition = Callable[[Track, list[Track]], bool]


@dataclasses.dataclass(frozen=True, eq=False)
class Plot:
    """Plan of a scene, and the query about it.

    Attributes:
        kind: "appearance", "motion", "time/..." or "relation/...".
        query: meaning of the sentence.
        parts: plans of the things, in the order in which they are placed.
        target: index of the part that is the answer.
        interval: frames of the answer.
        conditions: conditions on places, by index of the part.
    """

    kind: str
    query: Query
    parts: list[Part]
    target: int
    interval: Interval
    conditions: dict[int, Condition] = dataclasses.field(default_factory=dict)


class Sampler:
    """Random looks, verbs and times for one scene."""

    def __init__(self, draws: Draws, stage: Stage):
        self.draws = draws
        self.stage = stage

    # ---- looks ----

    def look(self) -> Look:
        return Look(self.draws.choice(SIZES), self.draws.choice(tuple(COLOURS)), self.draws.choice(SHAPES))

    def said(self) -> tuple[str, ...]:
        """Names of the attributes by which the sentence describes the target."""
        return self.draws.weighted(_SAID)

    def noun(self, look: Look, said: tuple[str, ...]) -> Noun:
        return Noun(**{attribute: getattr(look, attribute) for attribute in said})

    def twin(self, look: Look, said: tuple[str, ...]) -> Look:
        """Look that the same noun describes."""
        return dataclasses.replace(self.look(), **{attribute: getattr(look, attribute) for attribute in said})

    def near_miss(self, look: Look, said: tuple[str, ...], attribute: str) -> Look:
        """Look that differs in one of the attributes said."""
        values = {"size": SIZES, "colour": tuple(COLOURS), "shape": SHAPES}[attribute]
        other = self.draws.choice([value for value in values if value != getattr(look, attribute)])
        return dataclasses.replace(self.twin(look, said), **{attribute: other})

    def near_misses(self, look: Look, said: tuple[str, ...], most: int) -> list[Look]:
        """Up to `most` looks, each differing in another of the attributes said."""
        return [self.near_miss(look, said, attribute) for attribute in self.draws.shuffled(said)[:most]]

    def stranger(self, look: Look) -> Look:
        """Look of another colour and another shape."""
        colours = [colour for colour in COLOURS if colour != look.colour]
        shapes = [shape for shape in SHAPES if shape != look.shape]
        return Look(self.draws.choice(SIZES), self.draws.choice(colours), self.draws.choice(shapes))

    # ---- verbs and times ----

    def verb(self, look: Look, other_than: Collection[str] = (), among: Collection[str] = VERBS) -> str:
        """Verb that applies to a thing of this look."""
        can = {d: _WEIGHTS[d] for d in among if d not in other_than and _after(look, d) is not None}
        if not can:
            raise Misfit
        return self.draws.weighted(can)

    def slot(self, taken: Collection[Interval] = (), lengths: tuple[int, int] = LENGTHS) -> Interval:
        """Interval for an action, apart from those `taken`; `lengths` are the shortest and longest, in units."""
        frames, edge, gap = self.stage.frames, self.stage.frames(_EDGE), self.stage.frames(_PAUSE)
        length = self.draws.integer(frames(lengths[0]), frames(lengths[1]))
        latest = self.stage.frame_count - edge - length
        starts = [s for s in range(edge, latest + 1) if all(s >= t[1] + gap or s + length + gap <= t[0] for t in taken)]
        if not starts:
            raise Misfit
        start = self.draws.choice(starts)
        return start, start + length

    def busy(self, part: Part, count: int, other_than: Collection[str]) -> Part:
        """`part` with up to `count` more actions, none of them in `other_than`."""
        for _ in range(count):
            try:
                slot = self.slot([slot for _, slot in part.verbs])
                part.verbs.append((self.verb(part.look, {*other_than, *(d for d, _ in part.verbs)}), slot))
            except Misfit:
                break
        return part

    def presence(self, shortest: int, longest: int) -> Interval:
        """Interval in which a thing is shown, from `shortest` to `longest` units, anywhere in the clip."""
        length = self.draws.integer(self.stage.frames(shortest), self.stage.frames(longest))
        start = self.draws.integer(0, self.stage.frame_count - length)
        return start, start + length

    # ---- from parts to things ----

    def make(self, part: Part) -> Thing:
        """The thing that a part plans, without its place.

        Raises:
            Misfit: it cannot do what is planned, or not while it is shown.
        """
        verbs = sorted(part.verbs, key=lambda pair: pair[1])
        visible = part.visible or self._around([slot for _, slot in verbs])
        if verbs and not (visible[0] < verbs[0][1][0] and verbs[-1][1][1] <= visible[1]):
            raise Misfit
        look, actions = part.look, []
        for verb, slot in verbs:
            after = _after(look, verb)
            if after is None:
                raise Misfit
            actions.append(self._action(look.shape, verb, slot, part.by))
            look = after
        return Thing(part.look, self._radius(part.look.size), visible, tuple(actions))

    def _around(self, slots: list[Interval]) -> Interval:
        """Interval with room for the actions; often from the beginning or to the end of the clip."""
        settle, end = self.stage.frames(_SETTLE), self.stage.frame_count
        busy_start = slots[0][0] if slots else end // 3
        busy_end = slots[-1][1] if slots else 2 * end // 3
        start = self.draws.integer(0, busy_start - settle) if busy_start > settle and self.draws.chance(0.4) else 0
        if busy_end + settle < end and self.draws.chance(0.4):
            end = self.draws.integer(busy_end + settle, end)
        return start, end

    def _radius(self, size: str) -> float:
        return RADII[size] * self.stage.height * self.draws.uniform(1 - _JITTER, 1 + _JITTER)

    def distance(self, verb: str) -> tuple[float, float]:
        """Offset of a movement, (x, y) in pixels."""
        height = self.stage.height
        if verb in ("left", "right"):
            x = self.draws.uniform(0.28 * height, min(0.5 * self.stage.width, 0.6 * height))
            return (-x if verb == "left" else x), 0.0
        y = self.draws.uniform(0.26 * height, 0.46 * height)
        return 0.0, (-y if verb == "up" else y)

    def _action(self, shape: str, verb: str, slot: Interval, by: tuple[float, float] | None) -> Action:
        units = (slot[1] - slot[0]) / self.stage.frame_count * UNITS
        if verb in MOVES:
            return Action(verb, *slot, by=by or self.distance(verb))
        if verb == "grow":
            return Action(verb, *slot, to_radius=self._radius("big"))
        if verb == "shrink":
            return Action(verb, *slot, to_radius=self._radius("small"))
        if verb == "spin":
            step = _SYMMETRY[shape]  # so that it ends upright
            degrees = max(1, round(_SPIN * units / step)) * step
            return Action(verb, *slot, by=(degrees if self.draws.chance(0.5) else -degrees, 0.0))
        if verb == "blink":
            return Action(verb, *slot, by=(float(max(2, round(units / _BLINK))), 0.0))
        return Action(verb, *slot)


def _after(look: Look, verb: str) -> Look | None:
    """Look of a thing after `verb`; None if the verb does not apply to it."""
    if verb == "spin":
        return None if look.shape == "circle" else look
    if verb in ("grow", "shrink"):
        size = {"grow": "big", "shrink": "small"}[verb]
        return None if look.size == size else dataclasses.replace(look, size=size)
    if verb in TURNS:
        colour = verb.split()[1]
        return None if look.colour == colour else dataclasses.replace(look, colour=colour)
    return look


def place_parts(plot: Plot, sampler: Sampler) -> list[Thing]:
    """The things of a plot, in its order, each at a place where it touches nothing and its condition holds.

    Raises:
        Misfit: no such place was found.
    """
    placed: list[Thing] = []
    tracks: list[Track] = []
    for index, part in enumerate(plot.parts):
        thing = sampler.make(part)
        path = track(thing, sampler.stage.frame_count)
        starts = _free(path, tracks, _candidates(path, sampler))
        condition = plot.conditions.get(index)
        for x, y in starts:
            moved = dataclasses.replace(path, xy=path.xy + (x, y))
            if condition is None or condition(moved, tracks):
                break
        else:
            raise Misfit
        placed.append(dataclasses.replace(thing, x=float(x), y=float(y)))
        tracks.append(moved)
    return placed


def _candidates(path: Track, sampler: Sampler) -> np.ndarray:
    """Starting points from which the whole path lies within the picture, all equally likely, float64 [k, 2]."""
    low, high = _room(path, sampler.stage)
    if (low >= high).any():
        raise Misfit
    return low + sampler.draws.uniforms(_TRIES, 2) * (high - low)


def _room(path: Track, stage: Stage) -> tuple[np.ndarray, np.ndarray]:
    reach = path.reach()[path.visible, None] + _GAP
    xy = path.xy[path.visible]
    return (reach - xy).max(0), (np.array([stage.width, stage.height]) - reach - xy).min(0)


def _free(path: Track, others: list[Track], starts: np.ndarray) -> np.ndarray:
    """The rows of `starts`, [k, 2], from which the path keeps clear of the others."""
    for other in others:
        both = path.visible & other.visible
        offsets, apart = (path.xy - other.xy)[both], (path.reach() + other.reach())[both] + _GAP
        # Nothing moves in most frames, and those that repeat the one before need no check.
        new = np.ones(len(apart), bool)
        new[1:] = (np.diff(offsets, axis=0) != 0).any(1) | (np.diff(apart) != 0)
        dx, dy = (starts[:, axis, None] + offsets[new, axis] for axis in (0, 1))
        starts = starts[(dx * dx + dy * dy >= apart[new] ** 2).all(1)]
    return starts
