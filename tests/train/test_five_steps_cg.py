"""Five optimiser steps of the full-size CG-STVG against the released system.

The truth of each step was chosen so that different stages of decoding give context, or none does: `context_frames`
holds how many frames of each stage were chosen. No GIoU lies within 0.02 of the threshold that decides.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stvg_jax.convert import convert_state_dict
from stvg_jax.convert.formats import known_formats
from stvg_jax.grounding.cg_stvg import CGSTVG, CGSTVGConfig, CGSTVGLearningRates, CGSTVGLossConfig
from stvg_jax.grounding.task import GroundingTask, learning_rate_rules
from stvg_jax.nn.declare import PureModule
from stvg_jax.train.optim import FROZEN, OptimConfig, assign_groups, assign_uses, make_optimizer
from stvg_jax.train.schedules import ScheduleConfig, make_rates
from tests.released import state_dict
from tests.train import golden
from tests.train.golden import GROUPS, paths_of

FORMATS = known_formats()

# How far recorded parameters may be off, over how far they moved.
BOUND = 0.05
# Some recorded rows are of hidden units that are off, which decay alone moves, and the released average of what never
# changes drifts by rounding.
STILL = 3e-8


def make_released_rates(total_steps: int):
    schedule = ScheduleConfig(linear_groups=("text", "temporal_decoder"))
    return make_rates(dataclasses.asdict(CGSTVGLearningRates()), schedule, total_steps)


def expected_uses(frames: list[int]) -> dict[str, int]:
    """Of the one video, by the numbers of frames that the stages chose; the last stage's guide nothing."""
    layers = {f"context_{i}": int(number > 0) for i, number in enumerate(frames[:-1], start=1)}
    return {"context": max(layers.values()), **layers}


def test_rates_in_force_are_those_recorded():
    *_, recorded, meta = golden.five_steps("cgstvg")
    rates = make_released_rates(meta["max_iter"])
    for step, expected in enumerate(recorded["lr"]):
        now = rates(step)
        np.testing.assert_allclose([now[GROUPS[group]] for group in meta["group_order"]], expected, rtol=1e-6)


def test_the_release_moves_nothing_that_no_frame_used():
    *_, recorded, meta = golden.five_steps("cgstvg")
    config = CGSTVGConfig()
    uses = assign_uses(PureModule(CGSTVG(config)).declarations, config.uses)
    assert {sum(frames) > 0 for frames in meta["context_frames"]} == {True, False}
    for name, (path,) in named_paths(recorded):
        for step in range(1, meta["steps"]):
            before, after = recorded[f"param.{name}"][step - 1 : step + 1]
            if not expected_uses(meta["context_frames"][step]).get(uses.get(path), 1):
                np.testing.assert_array_equal(after, before, err_msg=f"{name} {step}")


def named_paths(recorded: dict[str, np.ndarray]) -> list[tuple[str, list[str]]]:
    names = [key.removeprefix("param.") for key in recorded if key.startswith("param.")]
    return [(name, paths_of(name, FORMATS["cg_stvg"])) for name in names]


@pytest.mark.slow
def test_five_steps():
    inputs, targets, recorded, meta = golden.five_steps("cgstvg")
    config, optim = CGSTVGConfig(), OptimConfig()
    module = PureModule(CGSTVG(config))
    groups = assign_groups(module.declarations, learning_rate_rules(config))
    uses = assign_uses(module.declarations, config.uses)
    optimizer = make_optimizer(optim, groups, make_released_rates(meta["max_iter"]), uses)
    start = convert_state_dict(state_dict("cgstvg"), format="cg_stvg")
    names = named_paths(recorded)
    assert {groups[path] for _, (path,) in names} == {*groups.values()}
    first = {name: golden.first_values(start, path, 64) for name, (path,) in names}
    before = first
    task, batches = GroundingTask(module, CGSTVGLossConfig()), [(inputs, now) for now in targets]
    for number, step in enumerate(golden.take_steps(task, start, groups, optimizer, optim, batches)):
        np.testing.assert_allclose(step.loss, recorded["loss"][number], rtol=1e-2)
        np.testing.assert_allclose(step.gradient_norm, recorded["grad_norm"][number], rtol=1e-2)
        assert step.uses == expected_uses(meta["context_frames"][number])
        now = {name: golden.first_values(step.parameters, path, 64) for name, (path,) in names}
        for name, (path,) in names:
            if groups[path] == FROZEN or not step.uses.get(uses.get(path), 1):
                np.testing.assert_array_equal(now[name], before[name], err_msg=f"{name} {number}")
            assert_moved_alike(now[name], recorded[f"param.{name}"][number], first[name], f"{name} {number}")
        before = now
    for name, (path,) in names:
        average = golden.first_values(step.average, path, 64)
        assert_moved_alike(average, recorded[f"ema.{name}"], first[name], f"average of {name}")


def assert_moved_alike(ours: np.ndarray, theirs: np.ndarray, start: np.ndarray, what: str) -> None:
    moved = np.abs(theirs - start).mean()
    assert np.abs(ours - theirs).mean() <= max(BOUND * moved, STILL), what
