"""The machine as commands find it: quiet libraries, and one line that says which device is used."""

from __future__ import annotations

import collections
import os
import sys
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jax

# What TensorFlow, XLA, Abseil and gRPC tell of themselves on standard error; their errors arrive as exceptions too.
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "ABSL_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "ERROR", "GLOG_minloglevel": "3"}
# Made by NVIDIA's driver.
_NVIDIA = ("/proc/driver/nvidia/version", "/dev/nvidia0")


def silence_libraries(environment: MutableMapping[str, str] = os.environ) -> None:
    """Keeps the C++ code of libraries from writing to standard error, where the user has not asked for it.

    To be called before they are imported.
    """
    for name, value in _QUIET.items():
        environment.setdefault(name, value)


def tell_device() -> None:
    """Says on standard error which devices this process computes on, and how to use a GPU that it leaves alone."""
    import jax

    for line in describe_devices(jax.devices(), jax.process_count(), nvidia=any(Path(p).exists() for p in _NVIDIA)):
        print(line, file=sys.stderr, flush=True)


def describe_devices(devices: Sequence[jax.Device], hosts: int, *, nvidia: bool, cores: int | None = None) -> list[str]:
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
    return "an NVIDIA GPU is here and this JAX does not use it; for one that does: pip install 'stvg-jax[cuda]'"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
