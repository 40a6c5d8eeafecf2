"""Five optimiser steps of the full-size TubeDETR against the released system.

The golden is one float32 run of a trajectory that amplifies rounding. Against a float64 run of the release it is off by
1e-7, 4e-7, 7e-7, 1e-4 and 6e-4 of the loss, by 3e-5, 2e-5, 7e-4, 2e-2 and 3.5e-2 of the gradient's norm, and by 3e-7,
3e-7 and 2e-5 of the parameters after steps 1, 2 and 5. The bounds are ten times these, and twenty for the third loss,
which is 1.1e-5 off: Adam's second step divides tiny gradients by their own size.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from stvg_jax.core.config import load_config_file
from stvg_jax.experiment.building import Experiment
from tests.train import golden

BOUNDS = golden.Bounds(
    loss=(1e-6, 4e-6, 1.4e-5, 1e-3, 6e-3),
    norm=(3e-4, 2e-4, 7e-3, 0.2, 0.35),
    parameters=(3e-6, 3e-6, 2e-4),
    average=5e-6,
)


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return Experiment.build(load_config_file(Path("tubedetr_hcstvg1")))


def test_rates_in_force_are_those_recorded(experiment):
    golden.assert_rates(experiment, "tubedetr")


@pytest.mark.slow
def test_five_steps(experiment):
    golden.assert_five_steps(experiment, "tubedetr", BOUNDS, stride=2)
