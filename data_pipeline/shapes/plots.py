"""Kinds of sentences with their scenes, in which every part of the sentence is needed.

`relation_plots` has the kinds that refer to another thing or to a place.
"""

from __future__ import annotations

from collections.abc import Callable

from stvg_jax.data_pipeline.shapes import relation_plots
from stvg_jax.data_pipeline.shapes.parts import Misfit, Part, Plot, Sampler
from stvg_jax.data_pipeline.shapes.scene import Look
from stvg_jax.data_pipeline.shapes.vocabulary import EXIST, MOVES, STOP, Event, Interval, Query, When

_LOOK_KEEPING = (*MOVES, "spin", "blink")
# Shortest and longest times in units, 64 to a clip.
_SHORT = (11, 18)  # one of two actions in a row
_MIDDLE = (12, 20)  # an action that is done twice
_REST = (12, 22)  # the rest of a thing that has stopped
_LEAD = 8  # units between the first of several and the next


def appearance(sampler: Sampler) -> Plot:
    """Sentence about a look only, "there is a small red square"; the answer is the whole presence of the target.

    Every attribute that is said has a near miss, shown at times of its own.
    """
    draws, said, look = sampler.draws, sampler.said(), sampler.look()
    interval = sampler.presence(12, 46)
    target = Part(look, interval)
    if interval[1] - interval[0] >= sampler.stage.frames(24) and draws.chance(0.5):
        third = (interval[1] - interval[0]) // 3
        verb = sampler.verb(look, among=_LOOK_KEEPING)
        target.verbs.append((verb, (interval[0] + third, interval[1] - third)))
    parts = [target]
    for near in sampler.near_misses(look, said, 3):
        if draws.chance(0.5):
            parts.append(Part(near, sampler.presence(12, 46)))
        else:
            parts.append(sampler.busy(Part(near), 1, other_than=()))
    if len(parts) < 4 and draws.chance(0.5):
        parts.append(sampler.busy(Part(sampler.stranger(look)), draws.integer(0, 1), other_than=()))
    return Plot("appearance", Query(sampler.noun(look, said), Event(EXIST)), parts, 0, interval)


def motion(sampler: Sampler) -> Plot:
    """Sentence about an action, "the red square that goes left".

    The target also does other things, a thing like it does other things, and near misses do the same.
    """
    draws, said, look = sampler.draws, sampler.said(), sampler.look()
    verb, interval = sampler.verb(look), sampler.slot()
    parts = [sampler.busy(Part(look, verbs=[(verb, interval)]), draws.integer(0, 2), other_than={verb})]
    parts.append(sampler.busy(Part(sampler.twin(look, said)), draws.integer(1, 2), other_than={verb}))
    for near in sampler.near_misses(look, said, draws.integer(1, 2)):
        if draws.chance(0.75) or len(parts) == 2:
            parts.append(_doing(sampler, near, verb))
        else:
            parts.append(sampler.busy(Part(near), 1, other_than={verb}))
    return Plot("motion", Query(sampler.noun(look, said), Event(verb)), parts, 0, interval)


def _doing(sampler: Sampler, look: Look, verb: str) -> Part:
    """Part that does `verb` at a time of its own, and often something else."""
    return sampler.busy(Part(look, verbs=[(verb, sampler.slot())]), sampler.draws.integer(0, 1), other_than={verb})


def verbs(sampler: Sampler) -> Plot:
    """Sentence with no more than a verb, "the object that spins", from which a model learns what verbs mean.

    Several things act at the same time, each in another way.
    """
    look = sampler.look()
    verb, interval = sampler.verb(look), sampler.slot()
    parts, done = [Part(look, verbs=[(verb, interval)])], {verb}
    for _ in range(sampler.draws.integer(1, 2)):
        stranger = sampler.stranger(look)
        other = sampler.verb(stranger, other_than=done)
        parts.append(Part(stranger, verbs=[(other, interval)]))
        done.add(other)
    return Plot("motion", Query(sampler.noun(look, ()), Event(verb)), parts, 0, interval)


def sequence(sampler: Sampler) -> Plot:
    """Sentence like "... moves up, then spins"; others do so in another order, or do only one of the two."""
    draws, said, look = sampler.draws, sampler.said(), sampler.look()
    first = sampler.verb(look)
    second = sampler.verb(look, {first})
    target = _in_a_row(sampler, Part(look), first, second)
    interval = (target.verbs[0][1][0], target.verbs[1][1][1])
    twin = Part(sampler.twin(look, said))
    third = sampler.verb(twin.look, {first, second})
    pairs = ((second, first), (first, third), (third, second))
    parts = [target, _in_a_row(sampler, twin, *draws.choice(pairs))]
    for near in sampler.near_misses(look, said, draws.integer(1, 2)):
        parts.append(_in_a_row(sampler, Part(near), first, second))
    return Plot("time/sequence", Query(sampler.noun(look, said), Event(first, then=second)), parts, 0, interval)


def _in_a_row(sampler: Sampler, part: Part, first: str, second: str) -> Part:
    gap = sampler.draws.integer(0, sampler.stage.frames(4))
    both = sampler.slot(lengths=(2 * _SHORT[0] + 4, 2 * _SHORT[1] + 4))
    middle = both[0] + round((both[1] - both[0]) * sampler.draws.uniform(0.4, 0.6))
    part.verbs += [(first, (both[0], middle - gap // 2)), (second, (middle - gap // 2 + gap, both[1]))]
    return part


def stop(sampler: Sampler) -> Plot:
    """Sentence like "... moves up, then stops"; the answer includes the rest.

    A thing like the target goes on to something else at once.
    """
    draws, said, look = sampler.draws, sampler.said(), sampler.look()
    verb = sampler.verb(look, among=MOVES)
    target, interval = _stopping(sampler, Part(look), verb)
    twin = Part(sampler.twin(look, said))
    start, end = sampler.slot(lengths=(2 * _SHORT[0], 2 * _SHORT[1]))
    middle = (start + end) // 2
    following = sampler.verb(twin.look, {verb})
    twin.verbs += [(verb, (start, middle)), (following, (middle, end))]
    near, _ = _stopping(sampler, Part(sampler.near_miss(look, said, draws.choice(said))), verb)
    return Plot("time/stop", Query(sampler.noun(look, said), Event(verb, then=STOP)), [target, twin, near], 0, interval)


def _stopping(sampler: Sampler, part: Part, verb: str) -> tuple[Part, Interval]:
    """`part` with a movement and what ends the rest after it, and the interval of both."""
    frames, end = sampler.stage.frames, sampler.stage.frame_count
    start, moved = sampler.slot(lengths=_MIDDLE)
    rested = moved + sampler.draws.integer(frames(_REST[0]), frames(_REST[1]))
    begin = sampler.draws.integer(0, start - 1) if sampler.draws.chance(0.4) else 0
    part.verbs.append((verb, (start, moved)))
    if rested > end - frames(2):
        rested = end
    elif rested < end - frames(_SHORT[1] + 2) and sampler.draws.chance(0.5):
        part.verbs.append((sampler.verb(part.look, {verb}), (rested, rested + frames(sampler.draws.integer(*_SHORT)))))
        part.visible = (begin, end)
        return part, (start, rested)
    part.visible = (begin, rested)
    return part, (start, rested)


def anchor(sampler: Sampler) -> Plot:
    """Sentence like "after the blue square vanishes, ..."; the target does the same twice, before and after that."""
    draws, said, look = sampler.draws, sampler.said(), sampler.look()
    verb, (early, late) = _twice(sampler, look)
    relation = draws.choice(("after", "after", "before", "before", "while"))
    target = Part(look, verbs=[(verb, early), (verb, late)])
    interval = late if relation == "after" else early if relation == "before" else draws.choice((early, late))
    landmark = Part(sampler.stranger(look))
    event = _landmark_event(sampler, landmark, relation, interval, (early, late))
    parts = [target, landmark]
    for near in sampler.near_misses(look, said, draws.integer(1, 2)):
        parts.append(_doing(sampler, near, verb))
    noun = sampler.noun(landmark.look, ("colour", "shape"))
    query = Query(sampler.noun(look, said), Event(verb), When(relation, Query(noun, event)))
    return Plot(f"time/{relation}", query, parts, 0, interval)


def _landmark_event(
    sampler: Sampler, part: Part, relation: str, interval: Interval, both: tuple[Interval, Interval]
) -> Event:
    """Event of another thing, added to `part`, which tells the two times of the target apart."""
    frames, end, draws = sampler.stage.frames, sampler.stage.frame_count, sampler.draws
    if relation == "while":
        other = both[1] if interval == both[0] else both[0]
        start = interval[0] - draws.integer(1, frames(4))
        stop = interval[1] + draws.integer(1, frames(4))
        if start < 2 or stop > end - 1 or not (stop <= other[0] or start >= other[1]):
            raise Misfit
        verb = sampler.verb(part.look)
        part.verbs.append((verb, (start, stop)))
        return Event(verb)
    low, high = both[0][1], both[1][0]
    middle = draws.integer(low, high)
    how = draws.choice(("appear", "vanish", "verb"))
    if how == "verb" and high - low >= frames(_SHORT[0]):
        verb = sampler.verb(part.look)
        length = draws.integer(frames(_SHORT[0]), min(frames(_SHORT[1]), high - low))
        start = draws.integer(low, high - length)
        part.verbs.append((verb, (start, start + length)))
        return Event(verb)
    if how == "appear":
        part.visible = (middle, draws.integer(min(middle + frames(12), end), end))
        return Event("appear")
    part.visible = (draws.integer(0, max(0, middle - frames(12))), middle)
    return Event("vanish")


def _twice(sampler: Sampler, look: Look) -> tuple[str, tuple[Interval, Interval]]:
    """A verb that can be done twice, and both times."""
    verb = sampler.verb(look, among=(*MOVES, "spin", "blink"))
    first = sampler.slot(lengths=_MIDDLE)
    early, late = sorted((first, sampler.slot([first], lengths=_MIDDLE)))
    return verb, (early, late)


def ordinal(sampler: Sampler) -> Plot:
    """Sentence like "... for the second time"; the target does the same twice."""
    draws, said, look = sampler.draws, sampler.said(), sampler.look()
    verb, both = _twice(sampler, look)
    which = draws.integer(0, 1)
    parts = [Part(look, verbs=[(verb, slot) for slot in both])]
    parts.append(sampler.busy(Part(sampler.twin(look, said)), draws.integer(1, 2), other_than={verb}))
    for near in sampler.near_misses(look, said, draws.integer(1, 2)):
        parts.append(_doing(sampler, near, verb))
    query = Query(sampler.noun(look, said), Event(verb), When(("first time", "second time")[which]))
    return Plot("time/ordinal", query, parts, 0, both[which])


def rank(sampler: Sampler) -> Plot:
    """Sentence like "the first red square that moves up", "... appears last"; things alike do so one after another."""
    draws, said, look = sampler.draws, sampler.said(), sampler.look()
    latest = draws.chance(0.5)
    parts, intervals = [], []
    verb = EXIST if draws.chance(0.4) else sampler.verb(look)
    for k in range(2):
        part = Part(look if k == 0 else sampler.twin(look, said))
        if verb == EXIST:
            part.visible = sampler.presence(12, 46)
            if part.visible[0] < sampler.stage.frames(3):
                raise Misfit
            intervals.append(part.visible)
        else:
            intervals.append(sampler.slot())
            part.verbs.append((verb, intervals[-1]))
        parts.append(part)
    if abs(intervals[0][0] - intervals[1][0]) < sampler.stage.frames(_LEAD):
        raise Misfit
    target = int((intervals[1][0] > intervals[0][0]) == latest)
    for near in sampler.near_misses(look, said, draws.integer(1, 2)):
        part = Part(near)
        if verb == EXIST:
            part.visible = sampler.presence(12, 46)
        else:
            part.verbs.append((verb, sampler.slot()))
        parts.append(part)
    query = Query(sampler.noun(look, said), Event(verb), When("latest" if latest else "earliest"))
    return Plot("time/rank", query, parts, target, intervals[target])


PLOTS: dict[str, Callable[[Sampler], Plot]] = {
    "appearance": appearance,
    "motion": motion,
    "sequence": sequence,
    "stop": stop,
    "anchor": anchor,
    "ordinal": ordinal,
    "rank": rank,
    "place": relation_plots.place,
    "side": relation_plots.side,
    "towards": relation_plots.towards,
    "passing": relation_plots.passing,
    "following": relation_plots.following,
    "verbs": verbs,
}
# Percentage of each kind.
SHARES = {
    "appearance": 30,
    "motion": 35,
    "sequence": 5,
    "stop": 3,
    "anchor": 6,
    "ordinal": 3,
    "rank": 3,
    "place": 5,
    "side": 3,
    "towards": 3,
    "passing": 2,
    "following": 2,
    # Only for datasets of this kind alone.
    "verbs": 0,
}
assert SHARES.keys() == PLOTS.keys() and sum(SHARES.values()) == 100
