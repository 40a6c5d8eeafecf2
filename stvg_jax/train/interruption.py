"""Requests to stop a run, which takes effect after a whole step, the same on all hosts."""

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
    """Handler of SIGTERM and SIGINT: in its context the first signal only sets a flag, the second ends the process.

    The training loop calls `should_stop` after every step; if it is True, the run saves and ends with `exit_code`. The
    second signal loses the steps since the last checkpoint. The context is entered in the main thread, after
    `jax.distributed` is initialised: it replaces that service's handler, which knows only SIGTERM.

    Attributes:
        signal: number of the signal that this host has received, or None.
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
            # None stands for a handler that was not set from Python and cannot be restored.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        for other in _SIGNALS:
            # The default action ends the process at once; a handler in Python would wait for the end of a compilation.
            signal.signal(other, signal.SIG_DFL)
        # print() is not reentrant, and the interrupted code may be inside it.
        os.write(
            2, f"\n{signal.Signals(number).name}: stopping after this step; a second signal stops at once\n".encode()
        )

    def should_stop(self) -> bool:
        """True if the run should stop after the step that was just dispatched; the same on all hosts.

        All hosts call it once per step. Several hosts know each other's flags one call later: the flags are combined
        on the devices after the step and read when the next step is running, so no host waits.
        """
        if jax.process_count() == 1:
            return self.signal is not None
        earlier, self._asked = self._asked, _any_host(self.signal is not None)
        return earlier is not None and bool(earlier.addressable_data(0))

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as in shells; 143 if only another host has received a signal.

        It is never 0, so that no scheduler takes the run for finished.
        """
        return 128 + (self.signal or signal.SIGTERM)


def _any_host(flag: bool) -> jax.Array:
    """Maximum of the flags of all hosts, int32 scalar on all devices; does not wait for it."""
    mesh, largest = _largest()
    mine = np.full(len(mesh.local_devices), flag, np.int32)
    split = NamedSharding(mesh, PartitionSpec("devices"))
    return largest(jax.make_array_from_process_local_data(split, mine, (mesh.size,)))


@functools.cache
def _largest():
    mesh = Mesh(np.array(jax.devices()), ("devices",))
    return mesh, jax.jit(jnp.max, out_shardings=NamedSharding(mesh, PartitionSpec()))
