"""The loop over steps: feeding, logging, saving, validating, stopping. Knows no model and no data."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from stvg_jax.train.monitor import Monitor
from stvg_jax.train.state import TrainState
from stvg_jax.train.step import TrainStep


@dataclasses.dataclass(frozen=True)
class Plan:
    """When what happens, in steps.

    Attributes:
        total_steps: of the whole training.
        log_every, save_every: between two lines of metrics, two checkpoints.
        validate_every: between two validations; 0 for one at the end only.
    """

    total_steps: int
    log_every: int
    save_every: int
    validate_every: int

    def logs(self, step: int) -> bool:
        return step % self.log_every == 0 or step == self.total_steps

    def saves(self, step: int) -> bool:
        return step % self.save_every == 0 or step == self.total_steps

    def validates(self, step: int) -> bool:
        return step == self.total_steps or bool(self.validate_every and step % self.validate_every == 0)


def run(
    state: TrainState,
    train_step: TrainStep,
    feed: Callable[[int], Iterator[tuple[Any, Mapping[str, jax.Array]]]],
    plan: Plan,
    *,
    monitor: Monitor,
    save: Callable[[TrainState, int], object],
    validate: Callable[[TrainState, int], None],
    check: Callable[[int, Mapping[str, np.ndarray], Any], None],
    stop: Callable[[], bool],
) -> tuple[TrainState, int]:
    """Trains from where `state` is to the end of the plan, or until asked to stop.

    The numbers of a step are looked at while the next one runs, so that a device never waits for the host.

    Args:
        state: given away.
        train_step: see `stvg_jax.train.step`.
        feed: first step -> (anything that names the batch, the batch on the mesh), from that step on.
        plan: see Plan.
        monitor: told about metrics.
        save: called with the state and the steps made, when these have passed the check.
        validate: likewise.
        check: called with the number of every step, from 0, its metrics and the name of its batch; raises if they are
            not sound.
        stop: whether to end after the step that was just begun; the same on all hosts.

    Returns:
        The last state and the steps made, saved.
    """
    step = int(state.step)
    running: tuple[int, dict[str, jax.Array], Any] | None = None

    def look() -> None:
        """Waits for the numbers of the last step that was begun."""
        nonlocal running
        if running is None:
            return
        done, metrics, batch = running
        running = None
        values = {name: np.asarray(value) for name, value in metrics.items()}
        check(done - 1, values, batch)
        if plan.logs(done):
            monitor.log(done, values)

    batches = feed(step)
    while step < plan.total_steps:
        waiting = time.monotonic()
        name, batch = next(batches)
        monitor.waited(time.monotonic() - waiting)
        state, metrics = train_step(state, batch)
        look()
        step += 1
        running = step, metrics, name
        stopping = stop()
        if plan.saves(step) or plan.validates(step) or stopping:
            look()
            save(state, step)
            if plan.validates(step) and not stopping:
                validate(state, step)
            monitor.pause()
        if stopping:
            break
    look()
    return state, step
