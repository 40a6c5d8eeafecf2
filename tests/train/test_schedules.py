"""Learning rates of every group at every step, against the released formulas."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.train.schedules import ScheduleConfig, make_rates

HCSTVG = ScheduleConfig(epochs=90, drop_epochs=(50, 90), linear_groups=("text",))
VIDSTG = ScheduleConfig(epochs=11, drop_epochs=(9, 11), warm_up_all=True)


def test_hcstvg():
    """Steps of 10 per epoch, warm-up of 9: the base falls at epoch 50, the text rises and falls in lines."""
    rates = make_rates({"base": 2e-4, "text": 5e-5}, HCSTVG, total_steps=900)
    expected = {
        0: (1, 1),  # the schedule is applied after a step
        1: (1, 1 / 9),
        8: (1, 8 / 9),
        9: (1, 1),
        450: (1, 450 / 891),
        499: (1, 401 / 891),
        500: (0.1, 400 / 891),
        899: (0.1, 1 / 891),
        900: (0.01, 0),
    }
    for step, (base, text) in expected.items():
        now = rates(step)
        np.testing.assert_allclose(now["base"], 2e-4 * base, rtol=1e-6, err_msg=f"step {step}")
        np.testing.assert_allclose(now["text"], 5e-5 * text, rtol=1e-6, err_msg=f"step {step}")


def test_vidstg():
    """All groups share warm-up, of 11 steps, and drops, at epochs of 100 steps."""
    rates = make_rates({"base": 2e-4, "text": 5e-5}, VIDSTG, total_steps=1100)
    for step, factor in {0: 1, 1: 1 / 11, 10: 10 / 11, 11: 1, 899: 1, 900: 0.1, 1099: 0.1, 1100: 0.01}.items():
        now = rates(step)
        np.testing.assert_allclose(now["base"], 2e-4 * factor, rtol=1e-6, err_msg=f"step {step}")
        np.testing.assert_allclose(now["text"], 5e-5 * factor, rtol=1e-6, err_msg=f"step {step}")


def test_rates_are_traceable():
    rates = make_rates({"base": 2e-4, "text": 5e-5}, HCSTVG, total_steps=900)
    traced = jax.jit(jax.vmap(rates))(np.arange(901))
    for step in (0, 1, 500, 899):
        for group, values in traced.items():
            np.testing.assert_allclose(values[step], rates(step)[group], rtol=1e-6)


@pytest.mark.parametrize("config", [HCSTVG, VIDSTG])
def test_a_training_shorter_than_its_epochs_has_finite_rates(config):
    rates = make_rates({"base": 1.0, "text": 1.0}, config, total_steps=1)
    assert [float(rates(step)["text"]) for step in (0, 1)] == [1.0, 0.0 if config is HCSTVG else 1.0]


def test_bad_configurations_are_refused():
    with pytest.raises(InputError, match="linear_groups names text; the groups are base"):
        make_rates({"base": 1.0}, HCSTVG, total_steps=10)
    with pytest.raises(InputError, match="0 steps"):
        make_rates({"text": 1.0}, HCSTVG, total_steps=0)
    for change, message in (
        ({"drop_epochs": (9, 5)}, "ascend"),
        ({"epochs": 0}, "at least 1"),
        ({"warmup": 1.0}, "share of all steps"),
    ):
        with pytest.raises(ValueError, match=message):
            ScheduleConfig(**change)


def test_a_schedule_whose_updates_are_numbered_from_0():
    """TubeDETR: the first two updates are both before the schedule's second (`util/optim.py`, `engine.py`)."""
    config = ScheduleConfig(epochs=40, drop_epochs=(10, 20, 30), linear_groups=("text",), first_update=0)
    rates = make_rates({"base": 5e-5, "text": 5e-5}, config, total_steps=400)
    expected = {0: (1, 1), 1: (1, 0), 2: (1, 1 / 4), 5: (1, 1), 100: (1, 301 / 396), 101: (0.1, 300 / 396)}
    for step, (base, text) in expected.items():
        now = rates(step)
        np.testing.assert_allclose(now["base"], 5e-5 * base, rtol=1e-6, err_msg=f"step {step}")
        np.testing.assert_allclose(now["text"], 5e-5 * text, rtol=1e-6, err_msg=f"step {step}")


def test_a_cosine_begins_with_the_first_update_and_ends_at_its_floor():
    """STGT: from 2.5e-5 to 1e-6."""
    rates = make_rates({"base": 2.5e-5}, ScheduleConfig(cosine_floor=0.04, warmup=0.0), 100)
    for step in (0, 1, 37, 99, 100, 120):
        expected = 1e-6 + (2.5e-5 - 1e-6) * 0.5 * (1 + np.cos(np.pi * min(step, 100) / 100))
        np.testing.assert_allclose(rates(step)["base"], expected, rtol=1e-5)
    with pytest.raises(ValueError, match="cosine_floor is 2"):
        ScheduleConfig(cosine_floor=2.0)
