"""Devices of a command: quiet libraries, and a line about the devices in use."""

from __future__ import annotations

import collections
import os
import sys
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Protocol

from stvg_jax.core.errors import InputError, first_line, how_to_install

# Silences TensorFlow, XLA, Abseil and gRPC on standard error; their errors are raised as exceptions too.
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "ABSL_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "ERROR", "GLOG_minloglevel": "3"}
_CHOOSING = ("JAX_PLATFORMS", "JAX_NUM_CPU_DEVICES", "CUDA_VISIBLE_DEVICES")
# Files of NVIDIA's driver.
_NVIDIA = ("/proc/driver/nvidia/version", "/dev/nvidia0")


class Device(Protocol):
    """The part of `jax.Device` that is shown. JAX has no type information for that class."""

    platform: str
    device_kind: str


def silence_libraries(environment: MutableMapping[str, str] = os.environ) -> None:
    """Keeps the C++ code of libraries from writing to standard error, and progress bars out of log files.

    Variables that the user has set stay unchanged. It must be called before the libraries are imported.
    """
    for name, value in _QUIET.items():
        environment.setdefault(name, value)
    if sys.stderr is None or not sys.stderr.isatty():
        environment.setdefault("TQDM_DISABLE", "1")


def find_devices() -> list[Device]:
    """Devices of all hosts.

    Raises:
        InputError: there is none, or JAX cannot use the devices that it was told to use.
    """
    import jax

    try:
        devices = jax.devices()
    except (RuntimeError, ValueError, AssertionError) as error:
        # JAX asserts that it has found a device of a kind in JAX_PLATFORMS.
        why = "none of the kind asked for" if isinstance(error, AssertionError) else first_line(error)
        asked = ", ".join(f"{name}={os.environ[name]!r}" for name in _CHOOSING if name in os.environ)
        mend = f"change {asked}" if asked else "check the installation of JAX"
        raise InputError(f"there is no device to compute on ({why}); {mend}") from error
    if not devices:
        raise InputError("there is no device to compute on; check the installation of JAX")
    return devices


def tell_device() -> None:
    """Writes to standard error, on the first host, which devices are used and how to use a GPU that is not.

    Raises:
        InputError: as `find_devices`.
    """
    import jax

    devices = find_devices()
    if jax.process_index() == 0:
        for line in describe_devices(devices, jax.process_count(), nvidia=any(Path(p).exists() for p in _NVIDIA)):
            print(line, file=sys.stderr, flush=True)


def describe_devices(devices: Sequence[Device], hosts: int, *, nvidia: bool, cores: int | None = None) -> list[str]:
    """Lines about devices for people.

    Args:
        devices: devices of all hosts.
        hosts: number of hosts.
        nvidia: whether this machine has an NVIDIA GPU.
        cores: cores of this machine's CPU; by default the number that the system gives.
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
    """Advice for using the NVIDIA GPU of this machine."""
    for name, off in (("JAX_PLATFORMS", None), ("CUDA_VISIBLE_DEVICES", ("", "-1"))):
        value = environment.get(name)
        if value is not None and (value in off if off else value == "cpu"):
            return f"this machine has an NVIDIA GPU, which is not used because {name}={value!r} is set"
    return f"this machine has an NVIDIA GPU, which this JAX cannot use; for one that can: {how_to_install('cuda')}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
