"""Five optimiser steps of the full-size model against the released system."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stvg_jax.convert import convert_state_dict
from stvg_jax.grounding.ta_stvg import TASTVG, TASTVGConfig
from stvg_jax.grounding.task import GroundingTask, LearningRates, learning_rate_rules
from stvg_jax.nn.declare import PureModule
from stvg_jax.train.optim import FROZEN, OptimConfig, assign_groups, make_optimizer
from stvg_jax.train.schedules import ScheduleConfig, make_rates
from tests.released import state_dict
from tests.train import golden
from tests.train.golden import GROUPS, paths_of

# The golden is one float32 run, and its first gradient hangs on a rounding error: the input of one ReLU (encoder layer
# 4, hidden unit 343, token 4, frame 6) is -1.2e-6 in a float64 run of the released system, and +1.2e-7 in its float32
# run. Applying the first gradient of that float64 run instead, the same five steps give losses 1.7e-3 (step 3) and 4e-2
# (step 5) away from the golden, as this library does without the nudge. It moves the unit's bias to the golden's side;
# the input that is next closest to zero stays 8e-5 away.
NUDGE = ("encoder/layers/4/ffn/up/bias", 343, 2e-6)

# At step 5 two of the boxes' 96 coordinates lie within 4e-4 of the truth, where the gradient of their absolute error
# changes sign; each changes the norm by 0.6 %. It is 1.2 % off (0.2 % after twice the nudge), those before 0.03 %.
LAST_NORM_TOLERANCE = 2e-2

# The recorded row belongs to a hidden unit that is off in the first two steps. Then the parts of its gradient cancel:
# twice the nudge changes it by a factor of 3 at step 4, and the gradients of other units by less than 1 %.
WAKING = "ground_decoder.time_decoder.layers.0.linear1.weight"

# How far recorded parameters may be off, over how far they moved. The motion projection is 1.05 % off, and 0.71 % after
# twice the nudge: what is left of that unit's rounding.
BOUNDS = {WAKING: 2.0, "input_proj2.weight": 0.015}


def test_rates_in_force_are_those_recorded():
    _, _, recorded, meta = golden.five_steps()
    rates = make_released_rates(meta["max_iter"])
    for step, expected in enumerate(recorded["lr"]):
        now = rates(step)
        np.testing.assert_allclose([now[GROUPS[group]] for group in meta["group_order"]], expected, rtol=1e-6)


def make_released_rates(total_steps: int):
    schedule = ScheduleConfig(linear_groups=("text", "temporal_decoder"))
    return make_rates(dataclasses.asdict(LearningRates()), schedule, total_steps)


@pytest.mark.slow
def test_five_steps():
    released_parameters = convert_state_dict(state_dict(), format="ta_stvg")
    inputs, targets, recorded, meta = golden.five_steps()
    config, optim = TASTVGConfig(), OptimConfig()
    task = GroundingTask(PureModule(TASTVG(config)))
    groups = assign_groups(released_parameters, learning_rate_rules(config))
    start = dict(released_parameters)
    path, unit, nudge = NUDGE
    start[path] = start[path] + np.float32(nudge) * (np.arange(len(start[path])) == unit)
    optimizer = make_optimizer(optim, groups, make_released_rates(meta["max_iter"]))
    losses, norms = [], []
    for step in golden.take_steps(task, start, groups, optimizer, optim, [(inputs, now) for now in targets]):
        losses.append(step.loss)
        norms.append(step.gradient_norm)
    np.testing.assert_allclose(losses[:3], recorded["loss"][:3], rtol=1e-3)
    np.testing.assert_allclose(losses[3:], recorded["loss"][3:], rtol=1e-2)
    np.testing.assert_allclose(norms[:4], recorded["grad_norm"][:4], rtol=1e-2)
    np.testing.assert_allclose(norms[4], recorded["grad_norm"][4], rtol=LAST_NORM_TOLERANCE)
    names = [key.removeprefix("param.") for key in recorded if key.startswith("param.")]
    assert {groups[path] for name in names for path in paths_of(name)} == {*groups.values()}
    for kind, parameters in (("param", step.parameters), ("ema", step.average)):
        for name in names:
            (path,) = paths_of(name)
            expected = recorded[f"{kind}.{name}"]
            ours, before = (golden.first_values(p, path, len(expected)) for p in (parameters, released_parameters))
            if groups[path] == FROZEN:
                # The released average of what never changes drifts by rounding; this library keeps none.
                np.testing.assert_array_equal(ours, before)
                np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-7)
                continue
            moved = np.abs(expected - before).mean()
            assert np.abs(ours - expected).mean() < BOUNDS.get(name, 0.01) * moved, (kind, name)
