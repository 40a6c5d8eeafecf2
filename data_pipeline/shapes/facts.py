"""What can be seen in a scene, read from its tracks alone: the actions it was made from are not consulted."""

from __future__ import annotations

import dataclasses

import numpy as np

from stvg_jax.data_pipeline.shapes.scene import RADII, Scene
from stvg_jax.data_pipeline.shapes.tracks import Track, track
from stvg_jax.data_pipeline.shapes.vocabulary import COLOURS

_NAMES = tuple(COLOURS)
_PALETTE = np.array([COLOURS[name] for name in _NAMES], np.float64)
_TINY = 1e-9


@dataclasses.dataclass(frozen=True)
class Episode:
    """A deed over frames start .. end - 1, as `scene.Action` counts them."""

    deed: str
    start: int
    end: int


@dataclasses.dataclass(frozen=True, eq=False)
class ThingFacts:
    """What can be seen of one thing.

    Attributes:
        visible: first frame and one past the last.
        colours: per frame, the nearest colour's name; sizes: likewise.
        episodes: what it does, in the order of time.
        boxes_xyxy: float64 [n, 4], pixels.
    """

    track: Track
    visible: tuple[int, int]
    colours: tuple[str, ...]
    sizes: tuple[str, ...]
    episodes: tuple[Episode, ...]
    boxes_xyxy: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Facts:
    """What can be seen of a scene: its things, in the scene's order, and the picture's size in pixels."""

    things: tuple[ThingFacts, ...]
    width: int
    height: int
    frame_count: int


def observe(scene: Scene) -> Facts:
    """Looks at a scene."""
    stage = scene.stage
    tracks = (track(thing, stage.frame_count) for thing in scene.things)
    things = tuple(_observe_thing(t, stage.height) for t in tracks)
    return Facts(things, stage.width, stage.height, stage.frame_count)


def _observe_thing(t: Track, height: int) -> ThingFacts:
    shown = np.flatnonzero(t.visible)
    distances = np.linalg.norm(t.rgb[:, None] - _PALETTE, axis=2)
    between = height * (RADII["small"] + RADII["big"]) / 2
    return ThingFacts(
        track=t,
        visible=(int(shown[0]), int(shown[-1]) + 1),
        colours=tuple(_NAMES[i] for i in distances.argmin(1)),
        sizes=tuple("small" if radius < between else "big" for radius in t.radius),
        episodes=_episodes(t, shown),
        boxes_xyxy=t.boxes_xyxy(),
    )


def _episodes(t: Track, shown: np.ndarray) -> tuple[Episode, ...]:
    """Runs of frames that differ in the same way from the frame before."""
    episodes: list[Episode] = []
    for frame in shown[1:]:
        deed = _change(t, frame)
        if deed is None:
            continue
        if episodes and episodes[-1].end == frame and episodes[-1].deed == deed:
            episodes[-1] = dataclasses.replace(episodes[-1], end=int(frame) + 1)
        else:
            episodes.append(Episode(deed, int(frame), int(frame) + 1))
    return tuple(_named_by_its_end(t, episode) for episode in episodes)


def _change(t: Track, frame: int) -> str | None:
    (dx, dy), growth = t.xy[frame] - t.xy[frame - 1], t.radius[frame] - t.radius[frame - 1]
    if max(abs(dx), abs(dy)) > _TINY:
        return ("left" if dx < 0 else "right") if abs(dx) > abs(dy) else ("up" if dy < 0 else "down")
    if abs(growth) > _TINY:
        return "grow" if growth > 0 else "shrink"
    if abs(t.angle[frame] - t.angle[frame - 1]) > _TINY:
        return "spin"
    if min(t.opacity[frame], t.opacity[frame - 1]) < 1 - _TINY:
        return "blink"
    return "turn" if np.abs(t.rgb[frame] - t.rgb[frame - 1]).max() > _TINY else None


def _named_by_its_end(t: Track, episode: Episode) -> Episode:
    if episode.deed != "turn":
        return episode
    colour = _NAMES[int(np.linalg.norm(t.rgb[episode.end - 1] - _PALETTE, axis=1).argmin())]
    return dataclasses.replace(episode, deed=f"turn {colour}")
