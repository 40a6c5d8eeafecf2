"""Sizes that no device could hold, refused before anything is compiled: XLA ends the process for some of them.

Counted is what is there at the same time whatever XLA does: the pixels of the rows, and the largest array that a model
makes of a single picture. Real needs are several times that, so what passes may still be too much; what is refused is.
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
    """What one device works on at once.

    Attributes:
        rows: clips.
        frames: of each clip.
        height, width: of a frame.
        pixel_bytes: of one channel.
        number_bytes: of a number of the computation.
    """

    rows: int
    frames: int
    height: int
    width: int
    pixel_bytes: int = 4
    number_bytes: int = 4

    @property
    def pixels_bytes(self) -> int:
        """What the pixels take."""
        return self.rows * self.frames * self.height * self.width * _CHANNELS * self.pixel_bytes


def check_memory(needed: int, sizes: Rows, what: str, memory: int | None = None) -> None:
    """Raises InputError where a device cannot hold what it would have to.

    Args:
        needed: bytes at least (`Family.least_bytes`).
        sizes: of one device's rows, for the message.
        what: names the settings that decide the sizes, for the message.
        memory: bytes of a device; that of this process's when not given.
    """
    memory = device_memory() if memory is None else memory
    if memory is not None and needed > memory:
        raise InputError(
            f"{what}: {sizes.rows:,} x {sizes.frames:,} frames of {sizes.width:,}x{sizes.height:,} take at least "
            f"{needed / 1e9:,.1f} GB on a device of {memory / 1e9:,.1f} GB; take fewer or smaller ones"
        )


def device_memory() -> int | None:
    """Bytes of one of this process's devices; None where it does not tell."""
    devices = jax.local_devices()
    if devices[0].platform != "cpu":
        return (devices[0].memory_stats() or {}).get("bytes_limit")
    limits = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in map(Path, _CGROUP_LIMITS):
        # "max" where there is no limit.
        if path.is_file() and (text := path.read_text().strip()).isdecimal():
            limits.append(int(text))
    # The devices of a CPU share its memory.
    return min(limits) // len(devices) if limits else None


@contextlib.contextmanager
def exhaustion_told(advice: str) -> Iterator[None]:
    """Turns the end of a device's memory, and of the host's, into an InputError with this advice."""
    try:
        yield
    except MemoryError as error:
        raise InputError(f"the memory of this machine is used up; {advice}") from error
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise InputError(f"the memory of the device is used up ({first_line(error)[:160]}); {advice}") from error
