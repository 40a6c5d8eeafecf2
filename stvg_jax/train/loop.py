"""The loop over training steps: feeding, logging, saving, validating and stopping, for any model and data."""

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
    """Times of events in a training, in steps.

    Attributes:
        total_steps: steps of the whole training.
        log_every, save_every: steps between two lines of metrics, and between two checkpoints.
        validate_every: steps between two validations; 0 for a single one at the end.
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
    """Trains from `state` to the end of the plan, or until it should stop.

    The metrics of a step are read while the next one runs, so that a device never waits for the host.

    Args:
        state: the first state; its memory is reused.
        train_step: result of `stvg_jax.train.step.make_train_step`.
        feed: function from a step to (name of the batch, batch on the mesh) for that step and all later ones.
        plan: times of events.
        monitor: receiver of metrics.
        save: called with the state and the number of steps made, after all of them have passed `check`.
        validate: called like `save`, after it.
        check: called with the number of every step from 0, its metrics and the name of its batch; raises an exception
            if the metrics are not finite, for example.
        stop: True to end after the step that was just dispatched; the same on all hosts.

    Returns:
        The last state, which is saved, and the number of steps made.
    """
    step = int(state.step)
    running: tuple[int, dict[str, jax.Array], Any] | None = None

    def look() -> None:
        """Waits for the metrics of the last step that was dispatched."""
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
