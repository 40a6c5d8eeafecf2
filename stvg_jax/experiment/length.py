"""Changes of a run's length: a check that it may continue to another number of steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.experiment.building import Experiment
from stvg_jax.train.config import TrainConfig
from stvg_jax.train.schedules import ScheduleConfig
from stvg_jax.train.workdir import Workdir


def check_length(experiment: Experiment, workdir: Workdir, steps_per_epoch: int) -> None:
    """Compares the learning rates of the steps that a run has made with those of a training of the new length.

    A continued training must give the same numbers as one that had the new length from the beginning. It does if rates
    are constant or drop at epochs, but not if they rise or fall over all steps. A new run passes.

    Args:
        experiment: experiment of this start.
        workdir: folder of the run.
        steps_per_epoch: steps in an epoch of this start's data.

    Raises:
        InputError: the steps made would have had other rates, or the run has made more steps than the new length.
    """
    if workdir.previous is None:
        return
    before, made = _earlier(experiment, workdir.previous), max(workdir.steps(), default=0)
    was, now = before.total_steps(steps_per_epoch), experiment.total_steps(steps_per_epoch)
    if was == now and before.schedule == experiment.schedule:
        return
    settings = {
        "train.max_steps": (before.train.max_steps, experiment.train.max_steps),
        "schedule.epochs": (before.schedule.epochs, experiment.schedule.epochs),
    }
    changed = ", ".join(f"config.{name}={old} -> {new}" for name, (old, new) in settings.items() if old != new)
    if now < made:
        raise InputError(
            f"{workdir.path} has made {made:,} steps, more than the new length {now:,} ({changed}); give at least "
            f"{made:,}, or choose another workdir"
        )
    steps = jnp.arange(made)
    rates = [jax.vmap(e.rates(total))(steps) if made else {} for e, total in ((before, was), (experiment, now))]
    for group, earlier in rates[0].items():
        other = np.flatnonzero(~np.isclose(earlier, rates[1][group], rtol=1e-6, atol=0))
        if len(other):
            step = int(other[0])
            raise InputError(
                f"{workdir.path} cannot go on from {was:,} to {now:,} steps ({changed}): its schedule depends on their "
                f"number, the rate of {group!r} was {earlier[step]:.3g} in step {step:,} and would have been "
                f"{rates[1][group][step]:.3g}; start anew in another workdir from what was learned, "
                f"--config.train.initialise=\"('{workdir.path / 'last'}',)\", or train the whole length from the start"
            )


def _earlier(experiment: Experiment, config: Mapping[str, Any]) -> Experiment:
    """The experiment with the length of the run's last start."""
    schedule = dataclasses.replace(experiment.schedule, epochs=_number(config, "schedule", ScheduleConfig(), "epochs"))
    train = dataclasses.replace(experiment.train, max_steps=_number(config, "train", TrainConfig(), "max_steps"))
    return dataclasses.replace(experiment, schedule=schedule, train=train)


def _number(config: Mapping[str, Any], section: str, defaults: Any, name: str) -> int:
    """A whole number in the configuration of an earlier start."""
    value = config.get(section, {}).get(name, getattr(defaults, name))
    if type(value) is not int:
        raise InputError(f"the run's config.json has no number config.{section}.{name}; restore it from a copy")
    return value
