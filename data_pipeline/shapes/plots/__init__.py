"""Kinds of sentences, each with the scenes that make it necessary to read all of the sentence."""

from __future__ import annotations

from collections.abc import Callable

from stvg_jax.data_pipeline.shapes.casting import Cast, Plot
from stvg_jax.data_pipeline.shapes.plots import relation, time
from stvg_jax.data_pipeline.shapes.plots.appearance import appearance
from stvg_jax.data_pipeline.shapes.plots.motion import motion, verbs

PLOTS: dict[str, Callable[[Cast], Plot]] = {
    "appearance": appearance,
    "motion": motion,
    "sequence": time.sequence,
    "stop": time.stop,
    "anchor": time.anchor,
    "ordinal": time.ordinal,
    "rank": time.rank,
    "place": relation.place,
    "side": relation.side,
    "towards": relation.towards,
    "passing": relation.passing,
    "following": relation.following,
    "verbs": verbs,
}
# How many of a hundred sentences are of which kind.
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
    # For a dataset of its own, to learn with.
    "verbs": 0,
}
assert SHARES.keys() == PLOTS.keys() and sum(SHARES.values()) == 100
