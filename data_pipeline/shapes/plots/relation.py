"""Sentences whose answer needs another thing or a place: things alike do the same elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stvg_jax.data_pipeline.shapes.casting import Cast, Condition, Part, Plot
from stvg_jax.data_pipeline.shapes.queries import BESIDE, SIDES, Event, Query, Where
from stvg_jax.data_pipeline.shapes.scene import Look
from stvg_jax.data_pipeline.shapes.tracks import Track
from stvg_jax.data_pipeline.shapes.vocabulary import MOVES, TURNS, opposite

# Axis and sign of a direction, by the words of relations and by movements.
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
_REFERENCE = ("colour", "shape")  # what is said of the other thing


def place(cast: Cast) -> Plot:
    """As in "the red square to the left of the blue circle moves up": one like it does so too, but elsewhere."""
    look, relation = cast.look(), cast.draws.choice(BESIDE)
    mark = Part(cast.stranger(look), (0, cast.stage.frame_count))
    where = Where(relation, cast.noun(mark.look, _REFERENCE))

    def at(wanted: bool) -> Condition:
        if relation == "closest to":
            return lambda track, placed: (_distance(track, placed[0]) < 4 * track.reach().max()) == wanted
        axis, sign = _direction(relation)

        def beyond(track: Track, placed: list[Track]) -> bool:
            along = sign * (track.xy - placed[0].xy)[:, axis]
            across = np.abs((track.xy - placed[0].xy)[:, 1 - axis])
            return _all(along - across, True) if wanted else _all(along, False)

        return beyond

    return _told_apart(cast, "relation/place", look, where, at, [mark])


def side(cast: Cast) -> Plot:
    """As in "the red square on the left moves up": one like it does so on the right."""
    look, relation = cast.look(), cast.draws.choice(SIDES)
    axis, sign = _direction(relation)
    middle = (cast.stage.width, cast.stage.height)[axis] / 2

    def at(wanted: bool) -> Condition:
        return lambda track, placed: _all(sign * (track.xy[:, axis] - middle), wanted)

    return _told_apart(cast, "relation/side", look, Where(relation), at, [])


def _told_apart(
    cast: Cast, kind: str, look: Look, where: Where, at: Callable[[bool], Condition], parts: list[Part]
) -> Plot:
    """Two things that the same words describe do the same: the target where `at(True)` holds, the other where
    `at(False)` does. `parts` are placed before them."""
    draws, said, whole = cast.draws, cast.said(), (0, cast.stage.frame_count)
    # No deed carries a thing across the border between the places.
    along = MOVES[2:] if {"left", "right"} & set(where.relation.split()) else MOVES[:2]
    deed = cast.deed(look, among=_STILL if where.relation == "closest to" else (*_STILL, *along))
    target, interval = len(parts), cast.slot()
    parts = [
        *parts,
        Part(look, whole, [(deed, interval)]),
        Part(cast.twin(look, said), whole, [(deed, cast.slot())]),
    ]
    conditions = {target: at(True), target + 1: at(False)}
    if draws.chance(0.6):
        conditions[len(parts)] = at(True)
        parts.append(Part(cast.near_miss(look, said, draws.choice(said)), deeds=[(deed, cast.slot())]))
    query = Query(cast.noun(look, said), Event(deed), where=where)
    return Plot(kind, query, parts, target, interval, conditions)


def towards(cast: Cast) -> Plot:
    """As in "... moves towards the blue circle", "... away from": things alike do the one and the other."""
    draws, said, look = cast.draws, cast.said(), cast.look()
    event = draws.choice(("approach", "retreat"))
    mark = Part(cast.stranger(look), (0, cast.stage.frame_count))
    deed = draws.choice(MOVES)
    target = Part(look, deeds=[(deed, cast.slot())])
    if draws.chance(0.5):  # the target itself comes back or has come before
        target.deeds.append((opposite(deed), cast.slot([target.deeds[0][1]])))
    twin = Part(cast.twin(look, said), deeds=[(draws.choice(MOVES), cast.slot())])
    parts = [mark, target, twin]
    conditions: dict[int, Condition] = {
        1: _heading(event, target.deeds[0][1], straight=True),
        2: _heading({"approach": "retreat", "retreat": "approach"}[event], twin.deeds[0][1], straight=False),
    }
    if draws.chance(0.6):
        parts.append(Part(cast.near_miss(look, said, draws.choice(said)), deeds=[(deed, cast.slot())]))
    query = Query(cast.noun(look, said), Event(event, other=cast.noun(mark.look, _REFERENCE)))
    return Plot(f"relation/{event}", query, parts, 1, target.deeds[0][1], conditions)


def _heading(event: str, slot: tuple[int, int], *, straight: bool) -> Condition:
    """Whether a thing comes closer to the first one or leaves it, and, if asked, on the straight way."""

    def heads(track: Track, placed: list[Track]) -> bool:
        way, rest = placed[0].xy[0] - track.xy[[slot[0] - 1, slot[1] - 1]]
        before, after = np.linalg.norm(way), np.linalg.norm(rest)
        cosine = way @ (way - rest) / (before * np.linalg.norm(way - rest))
        if event == "retreat":
            before, after, cosine = after, before, -cosine
        return bool(after < 0.6 * before and cosine > 0.95) if straight else bool(after < 0.9 * before)

    return heads


def passing(cast: Cast) -> Plot:
    """As in "... passes below the blue circle": one like it passes above, or moves without passing."""
    draws, said, look = cast.draws, cast.said(), cast.look()
    side_word = draws.choice(("above", "below"))
    mark = Part(cast.stranger(look), (0, cast.stage.frame_count))
    deed, interval = draws.choice(MOVES[:2]), cast.slot(lengths=(18, 32))
    width, sign = cast.stage.width, _DIRECTIONS[deed][1]
    target = Part(look, deeds=[(deed, interval)], by=(sign * draws.uniform(0.45, 0.62) * width, 0.0))
    twin = Part(cast.twin(look, said), deeds=[(draws.choice(MOVES[:2]), cast.slot())])
    parts = [mark, target, twin]
    other = {"above": "below", "below": "above"}[side_word]
    conditions = {
        0: _with_room(side_word, cast),
        1: _crossing(side_word, True),
        2: _crossing(other, draws.chance(0.5)),
    }
    if draws.chance(0.5):
        parts.append(Part(cast.near_miss(look, said, draws.choice(said)), deeds=[(deed, cast.slot())]))
    query = Query(cast.noun(look, said), Event(f"pass {side_word}", other=cast.noun(mark.look, _REFERENCE)))
    return Plot("relation/pass", query, parts, 1, interval, conditions)


def _with_room(side_word: str, cast: Cast) -> Condition:
    """Whether there is room to pass a thing on that side."""
    width, height = cast.stage.width, cast.stage.height
    sign = _DIRECTIONS[side_word][1]

    def has_room(track: Track, placed: list[Track]) -> bool:
        x, y = track.xy[0] / (width, height) - 0.5
        return bool(abs(x) < 0.2 and -0.2 < -sign * y < 0.3)

    return has_room


def _crossing(side_word: str, crosses: bool) -> Condition:
    sign = _DIRECTIONS[side_word][1]

    def passes(track: Track, placed: list[Track]) -> bool:
        x, y = (track.xy - placed[0].xy).T
        clear = track.reach() + placed[0].reach()
        beyond = abs(x[0]) > clear[0] and abs(x[-1]) > clear[-1]
        over = bool(x[0] * x[-1] < 0 and beyond and _all(sign * y, True))
        return over if crosses else bool(x[0] * x[-1] > 0)

    return passes


def following(cast: Cast) -> Plot:
    """As in "... follows the blue circle": one like it makes the same movement at another time, or another movement."""
    draws, said, look = cast.draws, cast.said(), cast.look()
    deed, interval = draws.choice(MOVES), cast.slot()
    by = cast.distance(deed)
    by = (by[0] * 0.8, by[1] * 0.8)
    leader = Part(cast.stranger(look), deeds=[(deed, interval)], by=by)
    target = Part(look, deeds=[(deed, interval)], by=by)
    twin = Part(cast.twin(look, said), deeds=[(deed, cast.slot())])
    axis, sign = _DIRECTIONS[deed]
    height = cast.stage.height

    def behind(track: Track, placed: list[Track]) -> bool:
        lead = (placed[0].xy - track.xy)[interval[0]]
        return 0 < sign * lead[axis] < 0.48 * height and abs(lead[1 - axis]) < 0.07 * height

    parts = [leader, target, twin]
    if draws.chance(0.5):
        parts.append(Part(cast.near_miss(look, said, draws.choice(said)), deeds=[(deed, cast.slot())]))
    query = Query(cast.noun(look, said), Event("follow", other=cast.noun(leader.look, _REFERENCE)))
    return Plot("relation/follow", query, parts, 1, interval, {1: behind})


def _direction(relation: str) -> tuple[int, int]:
    return next(_DIRECTIONS[word] for word in relation.split() if word in _DIRECTIONS)


def _all(values: np.ndarray, wanted: bool) -> bool:
    return bool((values > 0).all() if wanted else (values < 0).all())


def _distance(track: Track, other: Track) -> float:
    return float(np.linalg.norm(track.xy - other.xy, axis=1).mean())
