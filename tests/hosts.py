"""Programs on several CPU devices, and on several processes that stand for hosts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]


def environment(devices: int = 1) -> dict[str, str]:
    """Of a process with so many CPU devices."""
    return os.environ | {"JAX_NUM_CPU_DEVICES": str(devices), "JAX_PLATFORMS": "cpu"}


def free_address() -> str:
    """Of this machine, with a port that nobody uses now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def run_hosts(arguments: Sequence[str], *, hosts: int = 1, devices: int = 1) -> list:
    """Runs `python ARGUMENTS` once per host and returns the finished processes, in the hosts' order.

    With several hosts each command line ends in the options of `stvg_jax.parallel.hosts`.
    """
    address = free_address()
    running = []
    for host in range(hosts):
        joining = ["--coordinator", address, "--hosts", str(hosts), "--host", str(host)] if hosts > 1 else []
        command = [sys.executable, *arguments, *joining]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        running.append(subprocess.Popen(command, cwd=ROOT, env=environment(devices), **pipes))
    finished = []
    for process in running:
        try:
            out, err = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            for other in running:
                other.kill()
            raise
        finished.append(subprocess.CompletedProcess(process.args, process.returncode, out, err))
    return finished
