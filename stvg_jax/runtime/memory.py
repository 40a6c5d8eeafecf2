"""Memory of devices. Sizes that cannot fit are refused before compilation, as XLA ends the process for some of them.

The lower bound counts only what XLA must hold at the same time: the pixels of the rows and the largest array that a
model makes of a single frame. Real needs are several times that, so sizes that pass may still be too large.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import jax

from stvg_jax.core.errors import InputError, first_line

_CHANNELS = 3
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclasses.dataclass(frozen=True)
class Rows:
    """Sizes of the rows that one device computes at once.

    Attributes:
        rows: number of rows, each a clip.
        frames: frames of each clip.
        height, width: pixels of a frame.
        pixel_bytes: bytes of one channel of a pixel.
        number_bytes: bytes of a number in the computation.
    """

    rows: int
    frames: int
    height: int
    width: int
    pixel_bytes: int = 4
    number_bytes: int = 4

    @property
    def pixels_bytes(self) -> int:
        """Bytes of all pixels."""
        return self.rows * self.frames * self.height * self.width * _CHANNELS * self.pixel_bytes


def check_memory(needed: int, sizes: Rows, what: str, memory: int | None = None) -> None:
    """Raises InputError if the memory of a device is too small.

    Args:
        needed: lower bound of the bytes needed (`Family.least_bytes`).
        sizes: sizes of one device's rows, for the message.
        what: the settings that decide the sizes, for the message.
        memory: bytes of a device; by default those of this process's first device.
    """
    memory = device_memory() if memory is None else memory
    if memory is not None and needed > memory:
        raise InputError(
            f"{what}: {sizes.rows:,} x {sizes.frames:,} frames of {sizes.width:,}x{sizes.height:,} take at least "
            f"{needed / 1e9:,.1f} GB on a device of {memory / 1e9:,.1f} GB; take fewer or smaller ones"
        )


def device_memory() -> int | None:
    """Memory of one of this process's devices in bytes; None if it is unknown."""
    devices = jax.local_devices()
    if devices[0].platform != "cpu":
        return (devices[0].memory_stats() or {}).get("bytes_limit")
    limits = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in map(Path, _CGROUP_LIMITS):
        # The text is "max" if there is no limit.
        if path.is_file() and (text := path.read_text().strip()).isdecimal():
            limits.append(int(text))
    # The devices of a CPU share the memory of the machine.
    return min(limits) // len(devices) if limits else None


@contextlib.contextmanager
def exhaustion_told(advice: str) -> Iterator[None]:
    """Turns errors about exhausted memory, of a device or of the host, into an InputError with this advice."""
    try:
        yield
    except MemoryError as error:
        raise InputError(f"the memory of this machine is used up; {advice}") from error
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise InputError(f"the memory of the device is used up ({first_line(error)[:160]}); {advice}") from error
