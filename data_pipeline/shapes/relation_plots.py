"""Kinds of sentences that refer to another thing or to a place: things alike do the same elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stvg_jax.data_pipeline.shapes.parts import Condition, Part, Plot, Sampler
from stvg_jax.data_pipeline.shapes.scene import Look, Track
from stvg_jax.data_pipeline.shapes.vocabulary import (
    BESIDE,
    MOVES,
    SIDES,
    TURNS,
    Event,
    Interval,
    Query,
    Where,
    opposite,
)

# Axis and direction along it, by the words of relations and by movements.
_DIRECTIONS = {
    "left": (0, -1),
    "right": (0, 1),
    "above": (1, -1),
    "top": (1, -1),
    "up": (1, -1),
    "below": (1, 1),
    "bottom": (1, 1),
    "down": (1, 1),
}
_STILL = ("spin", "blink", "grow", "shrink", *TURNS)
_REFERENCE = ("colour", "shape")  # attributes by which sentences describe the other thing


def place(sampler: Sampler) -> Plot:
    """Sentence like "the red square to the left of the blue circle moves up"; one like it does so elsewhere."""
    look, relation = sampler.look(), sampler.draws.choice(BESIDE)
    landmark = Part(sampler.stranger(look), (0, sampler.stage.frame_count))
    where = Where(relation, sampler.noun(landmark.look, _REFERENCE))

    def at(wanted: bool) -> Condition:
        if relation == "closest to":
            return lambda track, placed: (_distance(track, placed[0]) < 4 * track.reach().max()) == wanted
        axis, sign = _direction(relation)

        def beyond(track: Track, placed: list[Track]) -> bool:
            along = sign * (track.xy - placed[0].xy)[:, axis]
            across = np.abs((track.xy - placed[0].xy)[:, 1 - axis])
            return _all(along - across, True) if wanted else _all(along, False)

        return beyond

    return _told_apart(sampler, "relation/place", look, where, at, [landmark])


def side(sampler: Sampler) -> Plot:
    """Sentence like "the red square on the left moves up"; one like it does so on the right."""
    look, relation = sampler.look(), sampler.draws.choice(SIDES)
    axis, sign = _direction(relation)
    middle = (sampler.stage.width, sampler.stage.height)[axis] / 2

    def at(wanted: bool) -> Condition:
        return lambda track, placed: _all(sign * (track.xy[:, axis] - middle), wanted)

    return _told_apart(sampler, "relation/side", look, Where(relation), at, [])


def _told_apart(
    sampler: Sampler, kind: str, look: Look, where: Where, at: Callable[[bool], Condition], parts: list[Part]
) -> Plot:
    """Plot in which two things of the same description do the same: the target where `at(True)` holds, the other where
    `at(False)` does. `parts` are placed before them."""
    draws, said, whole = sampler.draws, sampler.said(), (0, sampler.stage.frame_count)
    # Only verbs that carry no thing across the border between the places.
    along = MOVES[2:] if {"left", "right"} & set(where.relation.split()) else MOVES[:2]
    verb = sampler.verb(look, among=_STILL if where.relation == "closest to" else (*_STILL, *along))
    target, interval = len(parts), sampler.slot()
    parts = [
        *parts,
        Part(look, whole, [(verb, interval)]),
        Part(sampler.twin(look, said), whole, [(verb, sampler.slot())]),
    ]
    conditions = {target: at(True), target + 1: at(False)}
    if draws.chance(0.6):
        conditions[len(parts)] = at(True)
        parts.append(Part(sampler.near_miss(look, said, draws.choice(said)), verbs=[(verb, sampler.slot())]))
    query = Query(sampler.noun(look, said), Event(verb), where=where)
    return Plot(kind, query, parts, target, interval, conditions)


def towards(sampler: Sampler) -> Plot:
    """Sentence like "... moves towards the blue circle" or "away from" it; things alike do one or the other."""
    draws, said, look = sampler.draws, sampler.said(), sampler.look()
    event = draws.choice(("approach", "retreat"))
    landmark = Part(sampler.stranger(look), (0, sampler.stage.frame_count))
    verb = draws.choice(MOVES)
    target = Part(look, verbs=[(verb, sampler.slot())])
    if draws.chance(0.5):  # the target itself comes back or has come before
        target.verbs.append((opposite(verb), sampler.slot([target.verbs[0][1]])))
    twin = Part(sampler.twin(look, said), verbs=[(draws.choice(MOVES), sampler.slot())])
    parts = [landmark, target, twin]
    conditions: dict[int, Condition] = {
        1: _heading(event, target.verbs[0][1], straight=True),
        2: _heading({"approach": "retreat", "retreat": "approach"}[event], twin.verbs[0][1], straight=False),
    }
    if draws.chance(0.6):
        parts.append(Part(sampler.near_miss(look, said, draws.choice(said)), verbs=[(verb, sampler.slot())]))
    query = Query(sampler.noun(look, said), Event(event, other=sampler.noun(landmark.look, _REFERENCE)))
    return Plot(f"relation/{event}", query, parts, 1, target.verbs[0][1], conditions)


def _heading(event: str, slot: Interval, *, straight: bool) -> Condition:
    """Condition that a thing comes closer to the first one or moves away from it, on the `straight` way if asked."""

    def heads(track: Track, placed: list[Track]) -> bool:
        way, rest = placed[0].xy[0] - track.xy[[slot[0] - 1, slot[1] - 1]]
        before, after = np.linalg.norm(way), np.linalg.norm(rest)
        cosine = way @ (way - rest) / (before * np.linalg.norm(way - rest))
        if event == "retreat":
            before, after, cosine = after, before, -cosine
        return bool(after < 0.6 * before and cosine > 0.95) if straight else bool(after < 0.9 * before)

    return heads


def passing(sampler: Sampler) -> Plot:
    """Sentence like "... passes below the blue circle"; one like it passes above, or moves without passing."""
    draws, said, look = sampler.draws, sampler.said(), sampler.look()
    side_word = draws.choice(("above", "below"))
    landmark = Part(sampler.stranger(look), (0, sampler.stage.frame_count))
    verb, interval = draws.choice(MOVES[:2]), sampler.slot(lengths=(18, 32))
    width, sign = sampler.stage.width, _DIRECTIONS[verb][1]
    target = Part(look, verbs=[(verb, interval)], by=(sign * draws.uniform(0.45, 0.62) * width, 0.0))
    twin = Part(sampler.twin(look, said), verbs=[(draws.choice(MOVES[:2]), sampler.slot())])
    parts = [landmark, target, twin]
    other = {"above": "below", "below": "above"}[side_word]
    conditions = {
        0: _with_room(side_word, sampler),
        1: _crossing(side_word, True),
        2: _crossing(other, draws.chance(0.5)),
    }
    if draws.chance(0.5):
        parts.append(Part(sampler.near_miss(look, said, draws.choice(said)), verbs=[(verb, sampler.slot())]))
    query = Query(sampler.noun(look, said), Event(f"pass {side_word}", other=sampler.noun(landmark.look, _REFERENCE)))
    return Plot("relation/pass", query, parts, 1, interval, conditions)


def _with_room(side_word: str, sampler: Sampler) -> Condition:
    """Condition that there is room to pass a thing on that side."""
    width, height = sampler.stage.width, sampler.stage.height
    sign = _DIRECTIONS[side_word][1]

    def has_room(track: Track, placed: list[Track]) -> bool:
        x, y = track.xy[0] / (width, height) - 0.5
        return bool(abs(x) < 0.2 and -0.2 < -sign * y < 0.3)

    return has_room


def _crossing(side_word: str, crosses: bool) -> Condition:
    """Condition that a thing passes the first one on that side; that it stays on its own if not `crosses`."""
    sign = _DIRECTIONS[side_word][1]

    def passes(track: Track, placed: list[Track]) -> bool:
        x, y = (track.xy - placed[0].xy).T
        clear = track.reach() + placed[0].reach()
        beyond = abs(x[0]) > clear[0] and abs(x[-1]) > clear[-1]
        over = bool(x[0] * x[-1] < 0 and beyond and _all(sign * y, True))
        return over if crosses else bool(x[0] * x[-1] > 0)

    return passes


def following(sampler: Sampler) -> Plot:
    """Sentence like "... follows the blue circle"; one like it makes the same movement at another time."""
    draws, said, look = sampler.draws, sampler.said(), sampler.look()
    verb, interval = draws.choice(MOVES), sampler.slot()
    by = sampler.distance(verb)
    by = (by[0] * 0.8, by[1] * 0.8)
    leader = Part(sampler.stranger(look), verbs=[(verb, interval)], by=by)
    target = Part(look, verbs=[(verb, interval)], by=by)
    twin = Part(sampler.twin(look, said), verbs=[(verb, sampler.slot())])
    axis, sign = _DIRECTIONS[verb]
    height = sampler.stage.height

    def behind(track: Track, placed: list[Track]) -> bool:
        lead = (placed[0].xy - track.xy)[interval[0]]
        return 0 < sign * lead[axis] < 0.48 * height and abs(lead[1 - axis]) < 0.07 * height

    parts = [leader, target, twin]
    if draws.chance(0.5):
        parts.append(Part(sampler.near_miss(look, said, draws.choice(said)), verbs=[(verb, sampler.slot())]))
    query = Query(sampler.noun(look, said), Event("follow", other=sampler.noun(leader.look, _REFERENCE)))
    return Plot("relation/follow", query, parts, 1, interval, {1: behind})


def _direction(relation: str) -> tuple[int, int]:
    return next(_DIRECTIONS[word] for word in relation.split() if word in _DIRECTIONS)


def _all(values: np.ndarray, wanted: bool) -> bool:
    return bool((values > 0).all() if wanted else (values < 0).all())


def _distance(track: Track, other: Track) -> float:
    return float(np.linalg.norm(track.xy - other.xy, axis=1).mean())
