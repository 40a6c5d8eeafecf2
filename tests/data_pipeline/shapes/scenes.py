"""Scenes made by hand."""

from __future__ import annotations

from stvg_jax.data_pipeline.shapes.scene import RADII, Action, Background, Look, Scene, Stage, Thing

STAGE = Stage(160, 100, 64)
PLAIN = Background("plain", (50, 50, 50), (50, 50, 50), 0.0, 0)
_STEPS = {"left": (-30.0, 0.0), "right": (30.0, 0.0), "up": (0.0, -30.0), "down": (0.0, 30.0)}


def thing(look: str, x: float, y: float, *verbs: tuple[str, int, int], visible: tuple[int, int] = (0, 64)) -> Thing:
    """Thing whose `look` is given in words, "small red square", and each verb with its start and end frame."""
    size, colour, shape = look.split()
    return Thing(Look(size, colour, shape), RADII[size] * STAGE.height, visible, tuple(map(_action, verbs)), x, y)


def _action(verb: tuple[str, int, int]) -> Action:
    name, start, end = verb
    by = _STEPS.get(name, (120.0, 0.0) if name == "spin" else (3.0, 0.0))
    radius = {"grow": RADII["big"], "shrink": RADII["small"]}.get(name, 0.0) * STAGE.height
    return Action(name, start, end, by=by, to_radius=radius)


def scene(*things: Thing) -> Scene:
    return Scene(STAGE, PLAIN, things)
