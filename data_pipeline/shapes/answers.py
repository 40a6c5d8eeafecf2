"""Answers to a query: the things and times that satisfy it.

Each query is answered twice. Strict answers satisfy it beyond doubt; lenient answers are all that somebody might accept
(a thing that was red only later, a movement that begins before the other one has ended). A query is fair if both lists
hold the same single answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stvg_jax.data_pipeline.shapes.facts import Facts, ThingFacts, related, stands
from stvg_jax.data_pipeline.shapes.scene import UNITS
from stvg_jax.data_pipeline.shapes.vocabulary import (
    EXIST,
    MOVES,
    ORDINAL,
    RANK,
    STOP,
    Event,
    Interval,
    Noun,
    Query,
    When,
    Where,
)

# Units of time, 64 to a clip: the longest pause in "..., then ...", the shortest rest after which a thing has stopped,
# and the shortest lead of the first of several.
GAP, REST, LEAD = 6, 8, 6

Answer = tuple[int, Interval]  # index of a thing, and its frames


def answers(query: Query, facts: Facts, *, lenient: bool = False) -> list[Answer]:
    """All answers to `query`, in the order of the things and of time."""
    found = []
    for index, thing in enumerate(facts.things):
        for position, interval in _occurrences(query.event, index, facts, lenient):
            if not _matches(query.noun, thing, interval, lenient):
                continue
            if query.where and not _is_there(query.where, query.noun, index, interval, facts, lenient):
                continue
            if query.when and not _is_then(query.when, position, thing, query.event, interval, facts, lenient):
                continue
            found.append((index, interval))
    if query.when and query.when.relation in RANK:
        return _outermost(found, query.when.relation, facts, lenient)
    return found


def the_answer(query: Query, facts: Facts) -> Answer | None:
    """The answer to a fair query; None for any other query."""
    strict = answers(query, facts)
    return strict[0] if len(strict) == 1 and answers(query, facts, lenient=True) == strict else None


def presences(facts: Facts) -> list[Answer]:
    """Every thing with the frames that show it."""
    return [(index, thing.visible) for index, thing in enumerate(facts.things)]


def mentioned(noun: Noun, facts: Facts) -> list[Answer]:
    """Presences of the things that `noun` may mean."""
    return [(i, visible) for i, visible in presences(facts) if _matches(noun, facts.things[i], visible, lenient=True)]


def _units(facts: Facts, units: float) -> float:
    return units * facts.frame_count / UNITS


def _matches(noun: Noun, thing: ThingFacts, interval: Interval, lenient: bool) -> bool:
    """True if `noun` describes the thing: leniently, at any time; strictly, when the interval begins, and all along if
    the interval is its whole presence."""
    if noun.shape not in (None, thing.track.shape):
        return False
    start, end = thing.visible if lenient or interval == thing.visible else (interval[0], interval[0] + 1)
    enough = any if lenient else all
    said = ((noun.size, thing.sizes), (noun.colour, thing.colours))
    return all(word is None or enough(seen == word for seen in looks[start:end]) for word, looks in said)


def _occurrences(event: Event, index: int, facts: Facts, lenient: bool) -> Iterator[tuple[int, Interval]]:
    """(position among the thing's events of that name, interval) of everything that may be called `event`."""
    thing = facts.things[index]
    if event.verb == EXIST:
        yield 0, thing.visible
    elif event.verb == "appear":
        if thing.visible[0] > 0:
            yield 0, (thing.visible[0], thing.visible[0])
    elif event.verb == "vanish":
        if thing.visible[1] < facts.frame_count:
            yield 0, (thing.visible[1], thing.visible[1])
    elif event.other is not None:  # a verb of `RELATED`
        for other in _others(event.other, index, facts, lenient):
            for position, episode in enumerate(thing.episodes):
                if episode.verb in MOVES and related(event.verb, index, other, episode, facts, lenient):
                    yield position, (episode.start, episode.end)
    else:
        same = [i for i, episode in enumerate(thing.episodes) if episode.verb == event.verb]
        for position, i in enumerate(same):
            end = _end(event.then, thing, i, facts, lenient)
            if end is not None:
                yield position, (thing.episodes[i].start, end)


def _end(then: str | None, thing: ThingFacts, i: int, facts: Facts, lenient: bool) -> int | None:
    """End of episode `i` and of the event `then` that follows it; None if something else follows."""
    end = thing.episodes[i].end
    following = thing.episodes[i + 1] if i + 1 < len(thing.episodes) else None
    if then is None:
        return end
    if then == STOP:
        rest_end = following.start if following else thing.visible[1]
        return rest_end if rest_end - end >= (1 if lenient else _units(facts, REST)) else None
    if following is None or following.verb != then or (not lenient and following.start - end > _units(facts, GAP)):
        return None
    return following.end


def _others(noun: Noun, index: int, facts: Facts, lenient: bool) -> list[int]:
    """Things other than `index` that `noun` may mean; strictly, none unless there is exactly one."""
    fitting = [i for i, t in enumerate(facts.things) if i != index and _matches(noun, t, t.visible, True)]
    return fitting if lenient or len(fitting) == 1 else []


def _is_there(where: Where, noun: Noun, index: int, interval: Interval, facts: Facts, lenient: bool) -> bool:
    others: Sequence[int | None] = [None] if where.noun is None else _others(where.noun, index, facts, lenient)
    rivals = [i for i, t in enumerate(facts.things) if i not in (index, *others) and _matches(noun, t, t.visible, True)]
    return any(stands(where.relation, index, other, rivals, interval, facts, lenient) for other in others)


def _is_then(
    when: When,
    position: int,
    thing: ThingFacts,
    event: Event,
    interval: Interval,
    facts: Facts,
    lenient: bool,
) -> bool:
    if when.relation in RANK:
        return event.verb != EXIST or thing.visible[0] > 0
    if when.relation in ORDINAL:
        wanted = ORDINAL.index(when.relation)
        times = sum(episode.verb == event.verb for episode in thing.episodes)
        return position == wanted and (lenient or times > 1)
    anchors = [] if when.anchor is None else answers(when.anchor, facts, lenient=lenient)
    if not lenient and len(anchors) != 1:
        return False
    return any(_in_relation(when.relation, interval, anchor, lenient) for _, anchor in anchors)


def _in_relation(relation: str, interval: Interval, anchor: Interval, lenient: bool) -> bool:
    (start, end), (anchor_start, anchor_end) = interval, anchor
    if relation == "after":
        return end > anchor_start if lenient else start >= anchor_end
    if relation == "before":
        return start < anchor_end if lenient else end <= anchor_start
    if lenient:
        return start < anchor_end and end > anchor_start
    return anchor_start <= start and end <= anchor_end


def _outermost(found: list[Answer], relation: str, facts: Facts, lenient: bool) -> list[Answer]:
    """The first or last of `found`; leniently, with all close to it. Strictly, a single answer is neither."""
    if len(found) < 2 and not lenient:
        return []
    ordered = sorted(found, key=lambda answer: answer[1][0], reverse=relation == "latest")
    near = _units(facts, LEAD) if lenient else 0
    return [a for a in ordered if abs(a[1][0] - ordered[0][1][0]) <= near]
