"""Which things at which times satisfy a query.

Every question is answered twice. The strict answers satisfy it beyond doubt; the lenient ones are all that somebody
might take for satisfying it (a thing that was red only later, a movement that begins before the other one has ended).
A query is fair where both find the same single answer.
"""

from __future__ import annotations

from collections.abc import Iterator

from stvg_jax.data_pipeline.shapes.facts import Facts, ThingFacts
from stvg_jax.data_pipeline.shapes.queries import BESIDE, ORDINAL, RANK, Event, Noun, Query, When, Where
from stvg_jax.data_pipeline.shapes.relations import related, stands
from stvg_jax.data_pipeline.shapes.scene import UNITS
from stvg_jax.data_pipeline.shapes.vocabulary import EXIST, MOVES, RELATED, STOP

# In units of time (64 to a clip): what may lie between a deed and the next one of "..., then ...", how long a thing
# must rest to have stopped, and by how much the first of several is ahead.
GAP, REST, LEAD = 6, 8, 6

Answer = tuple[int, tuple[int, int]]  # index of a thing; first frame and one past the last


def answers(query: Query, facts: Facts, *, lenient: bool = False) -> list[Answer]:
    """All (thing, interval) that satisfy `query`, in the order of the things and of time."""
    found = []
    for index, thing in enumerate(facts.things):
        for position, interval in _happenings(query.event, index, facts, lenient):
            if not _matches(query.noun, thing, interval, lenient):
                continue
            if query.where and not _is_there(query.where, query.noun, index, interval, facts, lenient):
                continue
            if query.when and not _is_then(query.when, position, thing, query.event, interval, facts, lenient):
                continue
            found.append((index, interval))
    if query.when and query.when.relation in RANK:
        return _outermost(found, query, facts, lenient)
    return found


def the_answer(query: Query, facts: Facts) -> Answer | None:
    """The one answer of a fair query; None for any other."""
    strict = answers(query, facts)
    return strict[0] if len(strict) == 1 and answers(query, facts, lenient=True) == strict else None


def presences(facts: Facts) -> list[Answer]:
    """Every thing with the interval in which it is there."""
    return [(index, thing.visible) for index, thing in enumerate(facts.things)]


def mentioned(noun: Noun, facts: Facts) -> list[Answer]:
    """Those of `presences` that `noun` may mean."""
    return [(i, visible) for i, visible in presences(facts) if _matches(noun, facts.things[i], visible, lenient=True)]


def _units(facts: Facts, units: float) -> float:
    return units * facts.frame_count / UNITS


def _matches(noun: Noun, thing: ThingFacts, interval: tuple[int, int], lenient: bool) -> bool:
    """Strictly, what is said holds when the interval begins, and all along where that is the thing's whole presence;
    leniently, at any time."""
    if noun.shape not in (None, thing.track.shape):
        return False
    start, end = thing.visible if lenient or interval == thing.visible else (interval[0], interval[0] + 1)
    enough = any if lenient else all
    said = ((noun.size, thing.sizes), (noun.colour, thing.colours))
    return all(word is None or enough(seen == word for seen in looks[start:end]) for word, looks in said)


def _happenings(event: Event, index: int, facts: Facts, lenient: bool) -> Iterator[tuple[int, tuple[int, int]]]:
    """(how manieth of the thing's, interval) of everything that may be called `event`."""
    thing = facts.things[index]
    if event.deed == EXIST:
        yield 0, thing.visible
    elif event.deed == "appear":
        if thing.visible[0] > 0:
            yield 0, (thing.visible[0], thing.visible[0])
    elif event.deed == "vanish":
        if thing.visible[1] < facts.frame_count:
            yield 0, (thing.visible[1], thing.visible[1])
    elif event.deed in RELATED:
        for other in _others(event.other, index, facts, lenient):
            for position, episode in enumerate(thing.episodes):
                if episode.deed in MOVES and related(event.deed, index, other, episode, facts, lenient):
                    yield position, (episode.start, episode.end)
    else:
        same = [i for i, episode in enumerate(thing.episodes) if episode.deed == event.deed]
        for position, i in enumerate(same):
            end = _end(event.then, thing, i, facts, lenient)
            if end is not None:
                yield position, (thing.episodes[i].start, end)


def _end(then: str | None, thing: ThingFacts, i: int, facts: Facts, lenient: bool) -> int | None:
    """One past the last frame of episode `i` and of what comes then; None where something else comes."""
    end = thing.episodes[i].end
    following = thing.episodes[i + 1] if i + 1 < len(thing.episodes) else None
    if then is None:
        return end
    if then == STOP:
        rest_end = following.start if following else thing.visible[1]
        return rest_end if rest_end - end >= (1 if lenient else _units(facts, REST)) else None
    if following is None or following.deed != then or (not lenient and following.start - end > _units(facts, GAP)):
        return None
    return following.end


def _others(noun: Noun, index: int, facts: Facts, lenient: bool) -> list[int]:
    """The things that `noun` may mean besides thing `index`; strictly, none unless there is just one."""
    fitting = [i for i, t in enumerate(facts.things) if i != index and _matches(noun, t, t.visible, True)]
    return fitting if lenient or len(fitting) == 1 else []


def _is_there(where: Where, noun: Noun, index: int, interval: tuple[int, int], facts: Facts, lenient: bool) -> bool:
    others = _others(where.noun, index, facts, lenient) if where.relation in BESIDE else [None]
    rivals = [i for i, t in enumerate(facts.things) if i not in (index, *others) and _matches(noun, t, t.visible, True)]
    return any(stands(where.relation, index, other, rivals, interval, facts, lenient) for other in others)


def _is_then(
    when: When,
    position: int,
    thing: ThingFacts,
    event: Event,
    interval: tuple[int, int],
    facts: Facts,
    lenient: bool,
) -> bool:
    if when.relation in RANK:
        return event.deed != EXIST or thing.visible[0] > 0
    if when.relation in ORDINAL:
        wanted = ORDINAL.index(when.relation)
        times = sum(episode.deed == event.deed for episode in thing.episodes)
        return position == wanted and (lenient or times > 1)
    anchors = answers(Query(when.noun, when.event), facts, lenient=lenient)
    if not lenient and len(anchors) != 1:
        return False
    return any(_in_relation(when.relation, interval, anchor, lenient) for _, anchor in anchors)


def _in_relation(relation: str, interval: tuple[int, int], anchor: tuple[int, int], lenient: bool) -> bool:
    (start, end), (anchor_start, anchor_end) = interval, anchor
    if relation == "after":
        return end > anchor_start if lenient else start >= anchor_end
    if relation == "before":
        return start < anchor_end if lenient else end <= anchor_start
    if lenient:
        return start < anchor_end and end > anchor_start
    return anchor_start <= start and end <= anchor_end


def _outermost(found: list[Answer], query: Query, facts: Facts, lenient: bool) -> list[Answer]:
    """The first or the last of `found`; leniently, all that are close to it. One alone is neither."""
    if len(found) < 2 and not lenient:
        return []
    latest = query.when.relation == "latest"
    ordered = sorted(found, key=lambda answer: answer[1][0], reverse=latest)
    near = _units(facts, LEAD) if lenient else 0
    return [a for a in ordered if abs(a[1][0] - ordered[0][1][0]) <= near]
