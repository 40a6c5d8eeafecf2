"""Runs that may go on to another number of steps, and runs that may not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.experiment.building import Experiment
from stvg_jax.experiment.length import check_length
from tests.experiment.tiny_experiment import get_config


@pytest.fixture(scope="module")
def experiment():
    return Experiment.build(get_config().to_dict())


def check(experiment, before, now, made, *, steps_per_epoch=2, **schedule):
    """`before` and `now` are (max_steps, epochs)."""
    rates = dataclasses.replace(experiment.schedule, epochs=now[1], **schedule)
    train = dataclasses.replace(experiment.train, max_steps=now[0])
    previous = {"train": {"max_steps": before[0]}, "schedule": {"epochs": before[1]}}
    workdir = SimpleNamespace(path=Path("run"), previous=previous, steps=lambda: [made] if made else [])
    check_length(dataclasses.replace(experiment, schedule=rates, train=train), workdir, steps_per_epoch)


CONSTANT = {"linear_groups": (), "drop_epochs": (), "warm_up_all": False}
DROPS = CONSTANT | {"drop_epochs": (2,)}
FALLS = CONSTANT | {"linear_groups": ("text",), "warmup": 0.0}


@pytest.mark.parametrize(
    ("before", "now", "made", "schedule"),
    [
        ((2, 90), (4, 90), 2, CONSTANT),
        ((0, 2), (0, 5), 4, CONSTANT),
        ((0, 2), (9, 2), 4, CONSTANT),
        # The rates drop at the same steps as before.
        ((0, 3), (0, 5), 6, DROPS),
        # Nothing was made, so nothing can have been other.
        ((4, 90), (8, 90), 0, FALLS),
        # Of the first step no rate depends on the schedule.
        ((4, 90), (8, 90), 1, FALLS),
        ((8, 90), (8, 90), 8, FALLS),
    ],
)
def test_a_run_goes_on_where_its_rates_would_have_been_the_same(experiment, before, now, made, schedule):
    check(experiment, before, now, made, **schedule)


@pytest.mark.parametrize(
    ("before", "now", "made", "schedule", "message"),
    [
        ((4, 90), (8, 90), 4, FALLS, "rate of 'text' was 3.75e-05 in step 1 and would have been 4.37e-05; start anew"),
        ((4, 90), (2, 90), 4, CONSTANT, "has made 4 steps, more than the new length 2 .config.train.max_steps=4 -> 2"),
        # Epochs are a share of max_steps, and the drop comes at one.
        ((6, 3), (12, 3), 6, DROPS, "cannot go on from 6 to 12 steps .*in step 4"),
        ((0, 4), (0, 8), 8, CONSTANT | {"warm_up_all": True, "warmup": 0.5}, "cannot go on from 8 to 16 steps"),
    ],
)
def test_a_run_does_not_go_on_where_they_would_have_been_others(experiment, before, now, made, schedule, message):
    with pytest.raises(InputError, match=message):
        check(experiment, before, now, made, **schedule)
