"""Five optimiser steps of the full-size STCAT against the released system.

The golden is one float32 run of a trajectory that amplifies rounding. Against a float64 run of the release it is off by
1e-7, 3e-5, 2e-3, 4e-3 and 4e-2 of the loss, by 1e-4, 5e-3, 5e-2, 1e-2 and 8e-2 of the gradient's norm, and by 3e-7,
1.4e-4 (a whole learning rate: signs of tiny gradients) and 1.6e-4 of the parameters after steps 1, 2 and 5.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from stvg_jax.core.config import load_config_file
from stvg_jax.experiment.building import Experiment
from tests.train import golden

BOUNDS = golden.Bounds(
    loss=(1e-6, 3e-4, 2e-2, 4e-2, 0.4),
    norm=(1e-3, 5e-2, 0.5, 0.1, 0.8),
    parameters=(3e-6, 1.4e-3, 1.6e-3),
    average=5e-6,
)


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return Experiment.build(load_config_file(Path("stcat_hcstvg1")))


def test_rates_in_force_are_those_recorded(experiment):
    golden.assert_rates(experiment, "stcat")


@pytest.mark.slow
def test_five_steps(experiment):
    golden.assert_five_steps(experiment, "stcat", BOUNDS)
