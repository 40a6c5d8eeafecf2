"""Sentences that say what the target does: the answer is the time of doing it."""

from __future__ import annotations

from stvg_jax.data_pipeline.shapes.casting import Cast, Part, Plot
from stvg_jax.data_pipeline.shapes.queries import Event, Query


def motion(cast: Cast) -> Plot:
    """The target does something else too; a thing like it does other things, and near misses do the same."""
    draws, said, look = cast.draws, cast.said(), cast.look()
    deed, interval = cast.deed(look), cast.slot()
    parts = [cast.busy(Part(look, deeds=[(deed, interval)]), draws.integer(0, 2), other_than={deed})]
    parts.append(cast.busy(Part(cast.twin(look, said)), draws.integer(1, 2), other_than={deed}))
    for near in cast.near_misses(look, said, draws.integer(1, 2)):
        if draws.chance(0.75) or len(parts) == 2:
            parts.append(cast.busy(Part(near, deeds=[(deed, cast.slot())]), draws.integer(0, 1), other_than={deed}))
        else:
            parts.append(cast.busy(Part(near), 1, other_than={deed}))
    return Plot("motion", Query(cast.noun(look, said), Event(deed)), parts, 0, interval)


def verbs(cast: Cast) -> Plot:
    """Several things do something at the same time, each something else, and the sentence says nothing but what the
    target does: whoever does not know yet what verbs mean learns that here, as nothing else tells it apart."""
    look = cast.look()
    deed, interval = cast.deed(look), cast.slot()
    parts, done = [Part(look, deeds=[(deed, interval)])], {deed}
    for _ in range(cast.draws.integer(1, 2)):
        stranger = cast.stranger(look)
        other = cast.deed(stranger, other_than=done)
        parts.append(Part(stranger, deeds=[(other, interval)]))
        done.add(other)
    return Plot("motion", Query(cast.noun(look, ()), Event(deed)), parts, 0, interval)
