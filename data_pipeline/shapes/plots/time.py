"""Sentences whose answer needs an order of events."""

from __future__ import annotations

from stvg_jax.data_pipeline.shapes.casting import Cast, Misfit, Part, Plot
from stvg_jax.data_pipeline.shapes.queries import Event, Query, When
from stvg_jax.data_pipeline.shapes.scene import Look
from stvg_jax.data_pipeline.shapes.vocabulary import EXIST, MOVES, STOP

_SHORT = (11, 18)  # units, of deeds of which there are two in a row
_MIDDLE = (12, 20)  # units, of deeds that are done twice
_REST = (12, 22)  # units that a thing rests after it has stopped
_LEAD = 8  # units between the first of several and the next


def sequence(cast: Cast) -> Plot:
    """As in "... moves up, then spins": others do the same in another order, or only one of the two."""
    draws, said, look = cast.draws, cast.said(), cast.look()
    first = cast.deed(look)
    second = cast.deed(look, {first})
    target = _in_a_row(cast, Part(look), first, second)
    interval = (target.deeds[0][1][0], target.deeds[1][1][1])
    twin = Part(cast.twin(look, said))
    third = cast.deed(twin.look, {first, second})
    pairs = ((second, first), (first, third), (third, second))
    parts = [target, _in_a_row(cast, twin, *draws.choice(pairs))]
    for near in cast.near_misses(look, said, draws.integer(1, 2)):
        parts.append(_in_a_row(cast, Part(near), first, second))
    return Plot("time/sequence", Query(cast.noun(look, said), Event(first, then=second)), parts, 0, interval)


def _in_a_row(cast: Cast, part: Part, first: str, second: str) -> Part:
    gap = cast.draws.integer(0, cast.stage.frames(4))
    both = cast.slot(lengths=(2 * _SHORT[0] + 4, 2 * _SHORT[1] + 4))
    middle = both[0] + round((both[1] - both[0]) * cast.draws.uniform(0.4, 0.6))
    part.deeds += [(first, (both[0], middle - gap // 2)), (second, (middle - gap // 2 + gap, both[1]))]
    return part


def stop(cast: Cast) -> Plot:
    """As in "... moves up, then stops": the rest counts too, up to the next deed, the vanishing or the end.

    A thing like the target goes on to something else at once.
    """
    draws, said, look = cast.draws, cast.said(), cast.look()
    deed = cast.deed(look, among=MOVES)
    target, interval = _stopping(cast, Part(look), deed)
    twin = Part(cast.twin(look, said))
    start, end = cast.slot(lengths=(2 * _SHORT[0], 2 * _SHORT[1]))
    middle = (start + end) // 2
    following = cast.deed(twin.look, {deed})
    twin.deeds += [(deed, (start, middle)), (following, (middle, end))]
    near, _ = _stopping(cast, Part(cast.near_miss(look, said, draws.choice(said))), deed)
    return Plot("time/stop", Query(cast.noun(look, said), Event(deed, then=STOP)), [target, twin, near], 0, interval)


def _stopping(cast: Cast, part: Part, deed: str) -> tuple[Part, tuple[int, int]]:
    """With the movement, and then a deed or the vanishing that ends the rest."""
    frames, end = cast.stage.frames, cast.stage.frame_count
    start, moved = cast.slot(lengths=_MIDDLE)
    rested = moved + cast.draws.integer(frames(_REST[0]), frames(_REST[1]))
    begin = cast.draws.integer(0, start - 1) if cast.draws.chance(0.4) else 0
    part.deeds.append((deed, (start, moved)))
    if rested > end - frames(2):
        rested = end
    elif rested < end - frames(_SHORT[1] + 2) and cast.draws.chance(0.5):
        part.deeds.append((cast.deed(part.look, {deed}), (rested, rested + frames(cast.draws.integer(*_SHORT)))))
        part.visible = (begin, end)
        return part, (start, rested)
    part.visible = (begin, rested)
    return part, (start, rested)


def anchor(cast: Cast) -> Plot:
    """As in "After the blue square vanishes, ...": the target does the same twice, on either side of another event."""
    draws, said, look = cast.draws, cast.said(), cast.look()
    deed, (early, late) = _twice(cast, look)
    relation = draws.choice(("after", "after", "before", "before", "while"))
    target = Part(look, deeds=[(deed, early), (deed, late)])
    interval = late if relation == "after" else early if relation == "before" else draws.choice((early, late))
    mark = Part(cast.stranger(look))
    event = _mark(cast, mark, relation, interval, (early, late))
    parts = [target, mark]
    for near in cast.near_misses(look, said, draws.integer(1, 2)):
        parts.append(cast.busy(Part(near, deeds=[(deed, cast.slot())]), draws.integer(0, 1), other_than={deed}))
    noun = cast.noun(mark.look, ("colour", "shape"))
    query = Query(cast.noun(look, said), Event(deed), When(relation, noun, event))
    return Plot(f"time/{relation}", query, parts, 0, interval)


def _mark(
    cast: Cast, part: Part, relation: str, interval: tuple[int, int], both: tuple[tuple[int, int], tuple[int, int]]
) -> Event:
    """Lets the other thing do what tells the target's two times apart."""
    frames, end, draws = cast.stage.frames, cast.stage.frame_count, cast.draws
    if relation == "while":
        other = both[1] if interval == both[0] else both[0]
        start = interval[0] - draws.integer(1, frames(4))
        stop = interval[1] + draws.integer(1, frames(4))
        if start < 2 or stop > end - 1 or not (stop <= other[0] or start >= other[1]):
            raise Misfit
        deed = cast.deed(part.look)
        part.deeds.append((deed, (start, stop)))
        return Event(deed)
    low, high = both[0][1], both[1][0]
    middle = draws.integer(low, high)
    how = draws.choice(("appear", "vanish", "deed"))
    if how == "deed" and high - low >= frames(_SHORT[0]):
        deed = cast.deed(part.look)
        length = draws.integer(frames(_SHORT[0]), min(frames(_SHORT[1]), high - low))
        start = draws.integer(low, high - length)
        part.deeds.append((deed, (start, start + length)))
        return Event(deed)
    if how == "appear":
        part.visible = (middle, draws.integer(min(middle + frames(12), end), end))
        return Event("appear")
    part.visible = (draws.integer(0, max(0, middle - frames(12))), middle)
    return Event("vanish")


def _twice(cast: Cast, look: Look) -> tuple[str, tuple[tuple[int, int], tuple[int, int]]]:
    """Something that can be done twice, and when."""
    deed = cast.deed(look, among=(*MOVES, "spin", "blink"))
    first = cast.slot(lengths=_MIDDLE)
    return deed, tuple(sorted((first, cast.slot([first], lengths=_MIDDLE))))


def ordinal(cast: Cast) -> Plot:
    """As in "... for the second time": the target does the same twice."""
    draws, said, look = cast.draws, cast.said(), cast.look()
    deed, both = _twice(cast, look)
    which = draws.integer(0, 1)
    parts = [Part(look, deeds=[(deed, slot) for slot in both])]
    parts.append(cast.busy(Part(cast.twin(look, said)), draws.integer(1, 2), other_than={deed}))
    for near in cast.near_misses(look, said, draws.integer(1, 2)):
        parts.append(cast.busy(Part(near, deeds=[(deed, cast.slot())]), draws.integer(0, 1), other_than={deed}))
    query = Query(cast.noun(look, said), Event(deed), When(("first time", "second time")[which]))
    return Plot("time/ordinal", query, parts, 0, both[which])


def rank(cast: Cast) -> Plot:
    """As in "the first red square that moves up", "that appears last": things alike do the same, one after another."""
    draws, said, look = cast.draws, cast.said(), cast.look()
    latest = draws.chance(0.5)
    parts, intervals = [], []
    deed = EXIST if draws.chance(0.4) else cast.deed(look)
    for k in range(2):
        part = Part(look if k == 0 else cast.twin(look, said))
        if deed == EXIST:
            part.visible = cast.presence(12, 46)
            if part.visible[0] < cast.stage.frames(3):
                raise Misfit
            intervals.append(part.visible)
        else:
            intervals.append(cast.slot())
            part.deeds.append((deed, intervals[-1]))
        parts.append(part)
    if abs(intervals[0][0] - intervals[1][0]) < cast.stage.frames(_LEAD):
        raise Misfit
    target = int((intervals[1][0] > intervals[0][0]) == latest)
    for near in cast.near_misses(look, said, draws.integer(1, 2)):
        part = Part(near)
        if deed == EXIST:
            part.visible = cast.presence(12, 46)
        else:
            part.deeds.append((deed, cast.slot()))
        parts.append(part)
    query = Query(cast.noun(look, said), Event(deed), When("latest" if latest else "earliest"))
    return Plot("time/rank", query, parts, target, intervals[target])
