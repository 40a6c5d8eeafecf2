"""The machine as commands find it: quiet libraries, and one line that says which device is used."""

from __future__ import annotations

import collections
import os
import sys
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Protocol

from stvg_jax.core.errors import InputError, first_line, how_to_install

# What TensorFlow, XLA, Abseil and gRPC tell of themselves on standard error; their errors arrive as exceptions too.
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "ABSL_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "ERROR", "GLOG_minloglevel": "3"}
_CHOOSING = ("JAX_PLATFORMS", "JAX_NUM_CPU_DEVICES", "CUDA_VISIBLE_DEVICES")
# Made by NVIDIA's driver.
_NVIDIA = ("/proc/driver/nvidia/version", "/dev/nvidia0")


class Device(Protocol):
    """The part of a `jax.Device` that is told; type checkers know nothing of that class."""

    platform: str
    device_kind: str


def silence_libraries(environment: MutableMapping[str, str] = os.environ) -> None:
    """Keeps libraries' C++ code from writing to standard error, and bars out of log files.

    Variables that the user has set stay as they are. To be called before they are imported.
    """
    for name, value in _QUIET.items():
        environment.setdefault(name, value)
    if sys.stderr is None or not sys.stderr.isatty():
        environment.setdefault("TQDM_DISABLE", "1")


def find_devices() -> list[Device]:
    """The devices of all hosts.

    Raises:
        InputError: there are none, or JAX cannot use those that it was told to use.
    """
    import jax

    try:
        devices = jax.devices()
    except (RuntimeError, ValueError, AssertionError) as error:
        # JAX asserts that it has found a device of the kinds in JAX_PLATFORMS.
        why = "none of the kind asked for" if isinstance(error, AssertionError) else first_line(error)
        asked = ", ".join(f"{name}={os.environ[name]!r}" for name in _CHOOSING if name in os.environ)
        mend = f"change {asked}" if asked else "check the installation of JAX"
        raise InputError(f"there is no device to compute on ({why}); {mend}") from error
    if not devices:
        raise InputError("there is no device to compute on; check the installation of JAX")
    return devices


def tell_device() -> None:
    """Says on standard error which devices are used, and how to use a GPU that is left alone; the first host does.

    Raises:
        InputError: as `find_devices`.
    """
    import jax

    devices = find_devices()
    if jax.process_index() == 0:
        for line in describe_devices(devices, jax.process_count(), nvidia=any(Path(p).exists() for p in _NVIDIA)):
            print(line, file=sys.stderr, flush=True)


def describe_devices(devices: Sequence[Device], hosts: int, *, nvidia: bool, cores: int | None = None) -> list[str]:
    """Lines for people.

    Args:
        devices: of all hosts.
        hosts: how many there are.
        nvidia: whether this machine has a GPU of NVIDIA's.
        cores: of this machine's CPU; asked of the system when not given.
    """
    kinds = collections.Counter(device.device_kind for device in devices)
    if devices[0].platform == "cpu":
        cores = cores or _cores()
        many = f", as {len(devices):,} devices" if len(devices) > 1 else ""
        told = f"CPU, {cores:,} {'core' if cores == 1 else 'cores'}{many}"
    else:
        told = ", ".join(f"{kind}, {count:,} of them" if count > 1 else kind for kind, count in kinds.items())
    lines = [f"device: {told}{f', on {hosts:,} hosts' if hosts > 1 else ''}"]
    if devices[0].platform == "cpu" and nvidia:
        lines.append(_advice(os.environ))
    return lines


def _advice(environment: MutableMapping[str, str]) -> str:
    """How to come to use the GPU of NVIDIA's that is here."""
    for name, off in (("JAX_PLATFORMS", None), ("CUDA_VISIBLE_DEVICES", ("", "-1"))):
        value = environment.get(name)
        if value is not None and (value in off if off else value == "cpu"):
            return f"an NVIDIA GPU is here and not used, because {name}={value!r} is set"
    return f"an NVIDIA GPU is here and this JAX does not use it; for one that does: {how_to_install('cuda')}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
