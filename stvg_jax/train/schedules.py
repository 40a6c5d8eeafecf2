"""Learning rates of parameter groups as pure functions of the step (released code: `engine/lr_scheduler.py`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from stvg_jax.core.errors import InputError

Rates = Callable[[int | jax.Array], dict[str, jax.Array]]


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """Changes of the learning rates; the defaults are the released HC-STVG schedule without its linear groups.

    Attributes:
        epochs: passes over the training data.
        drop_epochs: epochs, from 0 and ascending, at the beginning of which rates are multiplied by `drop_factor`.
        drop_factor: factor of a drop.
        warmup: share of all steps in which rates that warm up grow linearly from 0.
        linear_groups: groups that warm up and then fall linearly to 0 at the last step, instead of dropping.
        warm_up_all: whether the other groups warm up too.
        cosine_floor: share of the full rate to which rates that do not fall linearly fall by a cosine over all steps,
            instead of dropping; -1 for drops.
        first_update: number of the first update, after which the schedule is applied for the first time: 1, or 0 as in
            TubeDETR, whose rates follow one update later.
    """

    epochs: int = 90
    drop_epochs: tuple[int, ...] = (50, 90)
    drop_factor: float = 0.1
    warmup: float = 0.01
    linear_groups: tuple[str, ...] = ()
    warm_up_all: bool = False
    cosine_floor: float = -1.0
    first_update: int = 1

    def __post_init__(self):
        if self.epochs < 1:
            raise ValueError(f"epochs is {self.epochs}; it must be at least 1")
        if self.first_update not in (0, 1):
            raise ValueError(f"first_update is {self.first_update}; it must be 0 or 1")
        if list(self.drop_epochs) != sorted(self.drop_epochs):
            raise ValueError(f"drop_epochs is {self.drop_epochs}; epochs must ascend")
        if self.cosine_floor != -1 and not 0 <= self.cosine_floor <= 1:
            raise ValueError(
                f"cosine_floor is {self.cosine_floor}; it must be a share of the full rate, or -1 for drops"
            )
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is {self.warmup}; it must be a share of all steps, from 0 to below 1")


def make_rates(full: Mapping[str, float], config: ScheduleConfig, total_steps: int) -> Rates:
    """Makes the function that gives the learning rates of a step.

    Args:
        full: group -> rate before the schedule.
        config: settings of the schedule.
        total_steps: updates of the whole training.

    Returns:
        A traceable function: number of updates made so far -> group -> float32 scalar. As in the released code, the
        schedule is applied after an update, so the first update has the full rates.

    Raises:
        InputError: a linear group is unknown, or the training has no steps.
    """
    if total_steps < 1:
        raise InputError(f"the training has {total_steps} steps; it must have at least 1")
    if unknown := sorted(set(config.linear_groups) - set(full)):
        raise InputError(f"linear_groups names {', '.join(unknown)}; the groups are {', '.join(full)}")
    warmup_steps = round(config.warmup * total_steps)
    steps_per_epoch = max(1, round(total_steps / config.epochs))

    def rates(step: int | jax.Array) -> dict[str, jax.Array]:
        step = jnp.asarray(step)
        number = step - 1 + config.first_update
        rising = number < warmup_steps
        rise = number / max(1, warmup_steps)
        fall = jnp.maximum(0.0, (total_steps - number) / (total_steps - warmup_steps))
        drops = (number // steps_per_epoch >= jnp.array(config.drop_epochs, jnp.int32)).sum()
        dropped = config.drop_factor**drops
        if config.cosine_floor != -1:
            # LAVIS: `cosine_lr_schedule`, which sets the rate before every update.
            wave = (1 + jnp.cos(jnp.pi * jnp.minimum(step / total_steps, 1))) / 2
            dropped = config.cosine_floor + (1 - config.cosine_floor) * wave
        linear = jnp.where(rising, rise, fall)
        stepped = jnp.where(rising, rise, dropped) if config.warm_up_all else dropped
        factors = {group: linear if group in config.linear_groups else stepped for group in full}
        return {group: rate * jnp.where(step == 0, 1.0, factors[group]) for group, rate in full.items()}

    return rates
