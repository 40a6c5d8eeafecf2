"""Places for the things of a plot, so that none ever touches another or leaves the picture."""

from __future__ import annotations

import dataclasses

import numpy as np

from stvg_jax.data_pipeline.shapes.casting import Cast, Misfit, Plot
from stvg_jax.data_pipeline.shapes.scene import Stage, Thing
from stvg_jax.data_pipeline.shapes.tracks import Track, track

_TRIES = 512
_GAP = 2.0  # pixels between two things and to the border, at least


def place(plot: Plot, cast: Cast) -> list[Thing]:
    """The things of a plot, in its order, each where nothing stands in its way and its condition holds.

    Raises:
        Misfit: no such places were found.
    """
    placed: list[Thing] = []
    tracks: list[Track] = []
    for index, part in enumerate(plot.parts):
        thing = cast.make(part)
        path = track(thing, cast.stage.frame_count)
        starts = _free(path, tracks, _candidates(path, cast))
        condition = plot.conditions.get(index)
        for x, y in starts:
            moved = dataclasses.replace(path, xy=path.xy + (x, y))
            if condition is None or condition(moved, tracks):
                break
        else:
            raise Misfit
        placed.append(dataclasses.replace(thing, x=float(x), y=float(y)))
        tracks.append(moved)
    return placed


def _candidates(path: Track, cast: Cast) -> np.ndarray:
    """float64 [k, 2]: starting points from which the whole path lies within the picture, all equally likely."""
    low, high = _room(path, cast.stage)
    if (low >= high).any():
        raise Misfit
    return low + cast.draws.uniforms(_TRIES, 2) * (high - low)


def _room(path: Track, stage: Stage) -> tuple[np.ndarray, np.ndarray]:
    reach = path.reach()[path.visible, None] + _GAP
    xy = path.xy[path.visible]
    return (reach - xy).max(0), (np.array([stage.width, stage.height]) - reach - xy).min(0)


def _free(path: Track, others: list[Track], starts: np.ndarray) -> np.ndarray:
    """Those of `starts` [k, 2] from which the path keeps clear of the others."""
    for other in others:
        both = path.visible & other.visible
        offsets, apart = (path.xy - other.xy)[both], (path.reach() + other.reach())[both] + _GAP
        # Nothing moves in most frames: those that repeat the one before need no look.
        new = np.ones(len(apart), bool)
        new[1:] = (np.diff(offsets, axis=0) != 0).any(1) | (np.diff(apart) != 0)
        dx, dy = (starts[:, axis, None] + offsets[new, axis] for axis in (0, 1))
        starts = starts[(dx * dx + dy * dy >= apart[new] ** 2).all(1)]
    return starts
