"""Visible facts about a scene, read from its tracks only and not from the actions that made them."""

from __future__ import annotations

import dataclasses

import numpy as np

from stvg_jax.data_pipeline.shapes.scene import RADII, Scene, Track, track
from stvg_jax.data_pipeline.shapes.vocabulary import COLOURS, Interval

_NAMES = tuple(COLOURS)
_PALETTE = np.array([COLOURS[name] for name in _NAMES], np.float64)
_TINY = 1e-9

# Axis of a relation, and direction along it.
_AXIS = {
    "left of": (0, -1),
    "right of": (0, 1),
    "above": (1, -1),
    "below": (1, 1),
    "on the left": (0, -1),
    "on the right": (0, 1),
    "at the top": (1, -1),
    "at the bottom": (1, 1),
}
_DIRECTION = {"left": (0, -1), "right": (0, 1), "up": (1, -1), "down": (1, 1)}
_SIDE = 0.1  # distance from the middle, relative to the picture, from which a thing is strictly "on the left", ...
_CLOSER = 0.7  # distance of the closest thing, relative to that of any other
_STRAIGHT = 0.94  # cosine of the angle between a movement and the straight way to or from the other thing
_NEARER = 0.65  # distance after approaching, relative to that before
_BEHIND = 0.5  # largest distance of a follower, relative to the picture's height
_ASIDE = 0.08  # largest distance of a follower from the other's line, likewise


@dataclasses.dataclass(frozen=True)
class Episode:
    """Something that a thing does; `start` and `end` as in `scene.Action`."""

    verb: str
    start: int
    end: int


@dataclasses.dataclass(frozen=True, eq=False)
class ThingFacts:
    """Visible facts about one thing.

    Attributes:
        track: its state in every frame.
        visible: frames that show it.
        colours, sizes: the nearest key of `COLOURS` and of `RADII` in each of the n frames of the clip.
        episodes: everything that it does, in the order of time.
        boxes_xyxy: float64 [n, 4], (x1, y1, x2, y2) in pixels.
    """

    track: Track
    visible: Interval
    colours: tuple[str, ...]
    sizes: tuple[str, ...]
    episodes: tuple[Episode, ...]
    boxes_xyxy: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Facts:
    """Visible facts about a scene: its things, in order, the size of the picture in pixels, the number of frames."""

    things: tuple[ThingFacts, ...]
    width: int
    height: int
    frame_count: int


def observe(scene: Scene) -> Facts:
    """Facts about a scene."""
    stage = scene.stage
    tracks = (track(thing, stage.frame_count) for thing in scene.things)
    things = tuple(_observe_thing(t, stage.height) for t in tracks)
    return Facts(things, stage.width, stage.height, stage.frame_count)


def _observe_thing(t: Track, height: int) -> ThingFacts:
    shown = np.flatnonzero(t.visible)
    distances = np.linalg.norm(t.rgb[:, None] - _PALETTE, axis=2)
    between = height * (RADII["small"] + RADII["big"]) / 2
    return ThingFacts(
        track=t,
        visible=(int(shown[0]), int(shown[-1]) + 1),
        colours=tuple(_NAMES[i] for i in distances.argmin(1)),
        sizes=tuple("small" if radius < between else "big" for radius in t.radius),
        episodes=_episodes(t, shown),
        boxes_xyxy=t.boxes_xyxy(),
    )


def _episodes(t: Track, shown: np.ndarray) -> tuple[Episode, ...]:
    """Runs of frames that all differ from the frame before in the same way."""
    episodes: list[Episode] = []
    for frame in shown[1:]:
        verb = _change(t, frame)
        if verb is None:
            continue
        if episodes and episodes[-1].end == frame and episodes[-1].verb == verb:
            episodes[-1] = dataclasses.replace(episodes[-1], end=int(frame) + 1)
        else:
            episodes.append(Episode(verb, int(frame), int(frame) + 1))
    return tuple(_with_final_colour(t, episode) for episode in episodes)


def _change(t: Track, frame: int) -> str | None:
    (dx, dy), growth = t.xy[frame] - t.xy[frame - 1], t.radius[frame] - t.radius[frame - 1]
    if max(abs(dx), abs(dy)) > _TINY:
        return ("left" if dx < 0 else "right") if abs(dx) > abs(dy) else ("up" if dy < 0 else "down")
    if abs(growth) > _TINY:
        return "grow" if growth > 0 else "shrink"
    if abs(t.angle[frame] - t.angle[frame - 1]) > _TINY:
        return "spin"
    if min(t.opacity[frame], t.opacity[frame - 1]) < 1 - _TINY:
        return "blink"
    return "turn" if np.abs(t.rgb[frame] - t.rgb[frame - 1]).max() > _TINY else None


def _with_final_colour(t: Track, episode: Episode) -> Episode:
    if episode.verb != "turn":
        return episode
    colour = _NAMES[int(np.linalg.norm(t.rgb[episode.end - 1] - _PALETTE, axis=1).argmin())]
    return dataclasses.replace(episode, verb=f"turn {colour}")


def stands(
    relation: str,
    index: int,
    other: int | None,
    rivals: list[int],
    interval: Interval,
    facts: Facts,
    lenient: bool,
) -> bool:
    """True if `relation` holds for thing `index`: strictly, in every frame of `interval`; leniently, in any.

    The strict reading compares boxes, the lenient one centres.

    Args:
        relation: one of `vocabulary.BESIDE` or `vocabulary.SIDES`.
        other: index of the thing beside which it should be; None for the sides of the picture.
        rivals: indices of things that may be closer.
    """
    frames = np.arange(*interval)
    thing = facts.things[index]
    if other is None:
        holds = _at_side(relation, thing, frames, facts, lenient)
    else:
        reference = facts.things[other]
        both = reference.track.visible[frames]
        if relation == "closest to":
            holds = both & _is_closest(thing, reference, [facts.things[i] for i in rivals], frames, lenient)
        else:
            holds = both & _beyond(relation, thing, reference, frames, lenient)
            if not lenient:
                # A thing farther aside than below is not "below".
                offset = np.abs((thing.track.xy - reference.track.xy)[frames])
                axis = _AXIS[relation][0]
                holds &= offset[:, axis] >= offset[:, 1 - axis]
    return bool(holds.any() if lenient else holds.all())


def related(verb: str, index: int, other: int, episode: Episode, facts: Facts, lenient: bool) -> bool:
    """True if a movement of thing `index` is `verb`, one of `vocabulary.RELATED`, with regard to thing `other`."""
    thing, reference = facts.things[index], facts.things[other]
    frames = np.arange(episode.start - 1, episode.end)
    if verb == "follow":
        return any(_follows(thing, episode, reference, e, facts, lenient) for e in reference.episodes)
    if not reference.track.visible[frames].all():
        return False
    if verb in ("approach", "retreat"):
        return _changes_distance(verb, thing, reference, frames, lenient)
    return _passes(verb.split()[1], thing, reference, frames, lenient)


def _beyond(relation: str, thing: ThingFacts, reference: ThingFacts, frames: np.ndarray, lenient: bool) -> np.ndarray:
    axis, sign = _AXIS[relation]
    if lenient:
        return sign * (thing.track.xy - reference.track.xy)[frames, axis] > 0
    ours, theirs = thing.boxes_xyxy[frames], reference.boxes_xyxy[frames]
    return ours[:, axis] >= theirs[:, axis + 2] if sign > 0 else ours[:, axis + 2] <= theirs[:, axis]


def _at_side(relation: str, thing: ThingFacts, frames: np.ndarray, facts: Facts, lenient: bool) -> np.ndarray:
    axis, sign = _AXIS[relation]
    extent = (facts.width, facts.height)[axis]
    return sign * (thing.track.xy[frames, axis] / extent - 0.5) > (0 if lenient else _SIDE)


def _distance(thing: ThingFacts, reference: ThingFacts, frames: np.ndarray) -> np.ndarray:
    return np.linalg.norm(thing.track.xy[frames] - reference.track.xy[frames], axis=1)


def _is_closest(
    thing: ThingFacts, reference: ThingFacts, rivals: list[ThingFacts], frames: np.ndarray, lenient: bool
) -> np.ndarray:
    ours = _distance(thing, reference, frames)
    holds = np.ones(len(frames), bool)
    for rival in rivals:
        theirs = _distance(rival, reference, frames)
        if lenient:
            holds &= (ours <= theirs) | ~rival.track.visible[frames]
        else:
            holds &= rival.track.visible[frames] & (ours <= _CLOSER * theirs)
    return holds


def _follows(
    thing: ThingFacts, ours: Episode, reference: ThingFacts, theirs: Episode, facts: Facts, lenient: bool
) -> bool:
    if ours.verb != theirs.verb or ours.end <= theirs.start or theirs.end <= ours.start:
        return False
    axis, sign = _DIRECTION[ours.verb]
    frame = max(ours.start, theirs.start)
    lead = (reference.track.xy - thing.track.xy)[frame] * sign
    if lenient:
        return bool(lead[axis] > 0)
    beside = abs(lead[1 - axis]) <= _ASIDE * facts.height
    return ours == theirs and bool(0 < lead[axis] <= _BEHIND * facts.height) and bool(beside)


def _changes_distance(verb: str, thing: ThingFacts, reference: ThingFacts, frames: np.ndarray, lenient: bool) -> bool:
    distance = _distance(thing, reference, frames)
    before, after = (distance[0], distance[-1]) if verb == "approach" else (distance[-1], distance[0])
    if lenient:
        return bool(after < before)
    first, last = frames[0], frames[-1]
    way = reference.track.xy[first] - thing.track.xy[first]
    step = thing.track.xy[last] - thing.track.xy[first]
    cosine = way @ step / (np.linalg.norm(way) * np.linalg.norm(step))
    straight = cosine >= _STRAIGHT if verb == "approach" else cosine <= -_STRAIGHT
    # A thing that moves away must have been near.
    return bool(straight and after <= _NEARER * before)


def _passes(side: str, thing: ThingFacts, reference: ThingFacts, frames: np.ndarray, lenient: bool) -> bool:
    """True if it moves from one side of the reference to the other, all the time above or below it as `side` says."""
    x = (thing.track.xy - reference.track.xy)[frames, 0]
    y = (thing.track.xy - reference.track.xy)[frames, 1]
    over = y < 0 if side == "above" else y > 0
    if lenient:
        return bool((x.min() < 0 < x.max()) and over[np.abs(x).argmin()])
    ends = frames[[0, -1]]
    to_the_left = _beyond("left of", thing, reference, ends, lenient=False)
    to_the_right = _beyond("right of", thing, reference, ends, lenient=False)
    crosses = (to_the_left & to_the_right[::-1]).any()
    return bool(crosses and _beyond(side, thing, reference, frames, lenient=False).all())
