"""Where things stand and move with regard to each other and to the picture.

Positions are those of boxes for the strict reading and of centres for the lenient one (see
`data_pipeline.shapes.answers`).
"""

from __future__ import annotations

import numpy as np

from stvg_jax.data_pipeline.shapes.facts import Episode, Facts, ThingFacts

# Axis of a relation and the sign that "beyond" has on it.
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
_SIDE = 0.1  # of the picture: how far beyond the middle a thing is strictly "on the left" and its like
_CLOSER = 0.7  # the closest thing's distance over that of any other one
_STRAIGHT = 0.94  # cosine of the angle between a movement and the way to or from the other thing
_NEARER = 0.65  # what is left of the distance after approaching
_BEHIND = 0.5  # of the picture's height: how far behind a follower may be
_ASIDE = 0.08  # of the picture's height: how far from the other's line


def stands(
    relation: str,
    index: int,
    other: int | None,
    rivals: list[int],
    interval: tuple[int, int],
    facts: Facts,
    lenient: bool,
) -> bool:
    """Whether thing `index` is where one of `queries.BESIDE` or `queries.SIDES` says.

    Strictly, in every frame of `interval`; leniently, in any.

    Args:
        other: the thing beside which it is; None for the sides of the picture.
        rivals: things that may be closer.
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
                # Rather below than beside.
                offset = np.abs((thing.track.xy - reference.track.xy)[frames])
                axis = _AXIS[relation][0]
                holds &= offset[:, axis] >= offset[:, 1 - axis]
    return bool(holds.any() if lenient else holds.all())


def related(deed: str, index: int, other: int, episode: Episode, facts: Facts, lenient: bool) -> bool:
    """Whether a movement of thing `index` is one of `vocabulary.RELATED` with regard to thing `other`."""
    thing, reference = facts.things[index], facts.things[other]
    frames = np.arange(episode.start - 1, episode.end)
    if deed == "follow":
        return any(_follows(thing, episode, reference, e, facts, lenient) for e in reference.episodes)
    if not reference.track.visible[frames].all():
        return False
    if deed in ("approach", "retreat"):
        return _changes_distance(deed, thing, reference, frames, lenient)
    return _passes(deed.split()[1], thing, reference, frames, lenient)


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
    if ours.deed != theirs.deed or ours.end <= theirs.start or theirs.end <= ours.start:
        return False
    axis, sign = _DIRECTION[ours.deed]
    frame = max(ours.start, theirs.start)
    lead = (reference.track.xy - thing.track.xy)[frame] * sign
    if lenient:
        return bool(lead[axis] > 0)
    beside = abs(lead[1 - axis]) <= _ASIDE * facts.height
    return ours == theirs and bool(0 < lead[axis] <= _BEHIND * facts.height) and bool(beside)


def _changes_distance(deed: str, thing: ThingFacts, reference: ThingFacts, frames: np.ndarray, lenient: bool) -> bool:
    distance = _distance(thing, reference, frames)
    before, after = (distance[0], distance[-1]) if deed == "approach" else (distance[-1], distance[0])
    if lenient:
        return bool(after < before)
    first, last = frames[0], frames[-1]
    way = reference.track.xy[first] - thing.track.xy[first]
    step = thing.track.xy[last] - thing.track.xy[first]
    cosine = way @ step / (np.linalg.norm(way) * np.linalg.norm(step))
    straight = cosine >= _STRAIGHT if deed == "approach" else cosine <= -_STRAIGHT
    # What moves away from a thing's neighbourhood was in it.
    return bool(straight and after <= _NEARER * before)


def _passes(side: str, thing: ThingFacts, reference: ThingFacts, frames: np.ndarray, lenient: bool) -> bool:
    """Moves from one side of a thing to the other, with the thing below (`side` "above") or above."""
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
