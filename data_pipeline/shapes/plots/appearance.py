"""Sentences that only say how the target looks: the answer is its whole presence."""

from __future__ import annotations

from stvg_jax.data_pipeline.shapes.casting import Cast, Part, Plot
from stvg_jax.data_pipeline.shapes.queries import Event, Query
from stvg_jax.data_pipeline.shapes.vocabulary import EXIST, MOVES

_LOOK_KEEPING = (*MOVES, "spin", "blink")


def appearance(cast: Cast) -> Plot:
    """One near miss for every attribute that is said, there at times of its own."""
    draws, said, look = cast.draws, cast.said(), cast.look()
    interval = cast.presence(12, 46)
    target = Part(look, interval)
    if interval[1] - interval[0] >= cast.stage.frames(24) and draws.chance(0.5):
        third = (interval[1] - interval[0]) // 3
        deed = cast.deed(look, among=_LOOK_KEEPING)
        target.deeds.append((deed, (interval[0] + third, interval[1] - third)))
    parts = [target]
    for near in cast.near_misses(look, said, 3):
        if draws.chance(0.5):
            parts.append(Part(near, cast.presence(12, 46)))
        else:
            parts.append(cast.busy(Part(near), 1, other_than=()))
    if len(parts) < 4 and draws.chance(0.5):
        parts.append(cast.busy(Part(cast.stranger(look)), draws.integer(0, 1), other_than=()))
    return Plot("appearance", Query(cast.noun(look, said), Event(EXIST)), parts, 0, interval)
