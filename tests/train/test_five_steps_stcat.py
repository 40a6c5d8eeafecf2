"""Five optimiser steps of the full-size STCAT against the released system.

The golden is one float32 run of a trajectory that amplifies rounding. Against a float64 run of the release it is off by
1e-7, 3e-5, 2e-3, 4e-3 and 4e-2 of the loss, by 1e-4, 5e-3, 5e-2, 1e-2 and 8e-2 of the gradient's norm, and by 3e-7,
1.4e-4 (a whole learning rate: signs of tiny gradients) and 1.6e-4 of the parameters after steps 1, 2 and 5.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stvg_jax.convert import convert_state_dict
from stvg_jax.convert.formats import known_formats
from stvg_jax.core.config import load_config_file
from stvg_jax.core.registry import get_family
from stvg_jax.experiment.building import Experiment
from stvg_jax.nn.declare import PureModule
from stvg_jax.train.optim import FROZEN, assign_groups, make_optimizer
from tests.released import state_dict
from tests.train import golden
from tests.train.test_groups import NAMES, paths_of

FORMATS = known_formats()
CONFIG = "stcat_hcstvg1"
LOSS = (1e-6, 3e-4, 2e-2, 4e-2, 0.4)
NORM = (1e-3, 5e-2, 0.5, 0.1, 0.8)
# After steps 1, 2 and 5, absolute.
PARAMETERS = {"param_after1": 3e-6, "param_after2": 1.4e-3, "param": 1.6e-3}
AVERAGE = 5e-6


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return Experiment.build(load_config_file(Path(CONFIG)))


def test_rates_in_force_are_those_recorded(experiment):
    *_, recorded, meta = golden.five_steps("stcat")
    rates = experiment.rates(meta["max_iter"])
    for step, expected in enumerate(recorded["lr"]):
        now = rates(step)
        np.testing.assert_allclose([now[NAMES[group]] for group in meta["group_order"]], expected, rtol=1e-6)


@pytest.mark.slow
def test_five_steps(experiment):
    inputs, targets, recorded, meta = golden.five_steps("stcat")
    family = get_family("stcat")
    config = family.config()
    module = PureModule(family.model(config, dtype=np.float32))
    groups = assign_groups(module.declarations, family.groups(config))
    optimizer = make_optimizer(experiment.optim, groups, experiment.rates(meta["max_iter"]))
    start = convert_state_dict(state_dict("stcat"), format="stcat")
    names = {key.removeprefix("ema.") for key in recorded if key.startswith("ema.")}
    paths = {name: path for name in sorted(names) for path in paths_of(name, FORMATS["stcat"])}
    assert {groups[path] for path in paths.values()} == {*groups.values()}
    task, batches = family.task(module, family.losses()), [(inputs, now) for now in targets]
    kinds = {0: "param_after1", 1: "param_after2", 4: "param"}
    for number, step in enumerate(golden.take_steps(task, start, groups, optimizer, experiment.optim, batches)):
        np.testing.assert_allclose(step.loss, recorded["loss"][number], rtol=LOSS[number])
        np.testing.assert_allclose(step.gradient_norm, recorded["grad_norm"][number], rtol=NORM[number])
        if kind := kinds.get(number):
            for name, path in paths.items():
                expected = recorded[f"{kind}.{name}"]
                ours = golden.first_values(step.parameters[path], len(expected))
                np.testing.assert_allclose(ours, expected, rtol=0, atol=PARAMETERS[kind], err_msg=f"{kind} {name}")
                if groups[path] == FROZEN:
                    np.testing.assert_array_equal(ours, golden.first_values(start[path], len(expected)))
    for name, path in paths.items():
        expected = recorded[f"ema.{name}"]
        average = golden.first_values(step.average[path], len(expected))
        np.testing.assert_allclose(average, expected, rtol=0, atol=AVERAGE, err_msg=f"average of {name}")
