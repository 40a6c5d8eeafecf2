"""Stopping a run when the machine or a person asks for it, after a whole step and at the same one on all hosts."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interruption:
    """While entered, the first SIGTERM or SIGINT only raises a flag, and the second ends the process at once.

    The training loop asks `should_stop` after every step, and if so saves, and ends the process with `exit_code`.
    Ending at once loses the steps since the last checkpoint and nothing more. To be entered in the main thread, after
    `jax.distributed` has been initialised, whose own handler of SIGTERM it replaces: that service knows SIGTERM alone.

    Attributes:
        signal: that was received by this host, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {}
        self._asked: jax.Array | None = None

    def __enter__(self) -> Interruption:
        self._before = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            # None stands for a handler that was not set from Python, and cannot be set again from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        for other in _SIGNALS:
            # The system's own action, unlike a handler in Python, does not wait for a compilation to end.
            signal.signal(other, signal.SIG_DFL)
        # print() must not be called while the interrupted code may be in the middle of one.
        os.write(2, f"\n{signal.Signals(number).name}: stopping after this step; again to stop at once\n".encode())

    def should_stop(self) -> bool:
        """Whether to stop after the step that was just dispatched; the same answer on all hosts.

        One host answers for itself. Several, who all call this once per step, know of each other's flags one call
        later: the answer travels behind the step on the devices and is read when the next step is already on its
        way, so that asking costs no waiting.
        """
        if jax.process_count() == 1:
            return self.signal is not None
        earlier, self._asked = self._asked, _any_host(self.signal is not None)
        return earlier is not None and bool(earlier.addressable_data(0))

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as shells report it, or 143 where only another host received one.

        Not 0: a scheduler must not take the run for finished.
        """
        return 128 + (self.signal or signal.SIGTERM)


def _any_host(flag: bool) -> jax.Array:
    """Whether the flag is up on any host: int32 scalar, on all devices. Does not wait for it."""
    mesh, largest = _largest()
    mine = np.full(len(mesh.local_devices), flag, np.int32)
    split = NamedSharding(mesh, PartitionSpec("devices"))
    return largest(jax.make_array_from_process_local_data(split, mine, (mesh.size,)))


@functools.cache
def _largest():
    mesh = Mesh(np.array(jax.devices()), ("devices",))
    return mesh, jax.jit(jnp.max, out_shardings=NamedSharding(mesh, PartitionSpec()))
