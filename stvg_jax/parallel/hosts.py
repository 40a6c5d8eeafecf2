"""Several hosts in one run. Importing this module does not import JAX, as the command line needs it early."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any, TypeVar

from stvg_jax.core.errors import InputError, first_line

T = TypeVar("T")

EPILOG = """\
several hosts: start the same command on every host, with a folder that all hosts share.
  On TPU pods, with SLURM and with Open MPI, the hosts find each other:  --distributed
  Elsewhere, number the hosts from 0 on:                                 --coordinator HOST0:PORT --hosts N --host I"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `join` reads."""
    group = parser.add_argument_group("several hosts")
    group.add_argument("--distributed", action="store_true", help="join the other hosts of this TPU pod or cluster job")
    group.add_argument("--coordinator", metavar="HOST:PORT", help="address of host 0, to join hosts by hand")
    group.add_argument("--hosts", type=int, metavar="N", help="number of hosts, with --coordinator")
    group.add_argument("--host", type=int, metavar="I", help="number of this host, 0 to N-1, with --coordinator")


def join(args: argparse.Namespace) -> None:
    """Connects this process to the others if the command line asks for it; to be called before any JAX computation.

    Raises:
        InputError: options contradict each other, or the hosts cannot be connected.
    """
    by_hand = (args.coordinator, args.hosts, args.host)
    if any(value is not None for value in by_hand):
        if None in by_hand or args.distributed:
            raise InputError(
                "options contradict: give --distributed alone, or --coordinator, --hosts and --host together"
            )
        if not 0 <= args.host < args.hosts:
            raise InputError(f"--host {args.host} must be from 0 to {args.hosts - 1}, as --hosts is {args.hosts}")
        options = {"coordinator_address": args.coordinator, "num_processes": args.hosts, "process_id": args.host}
    elif args.distributed:
        options = {}
    else:
        return
    import jax

    try:
        jax.distributed.initialize(**options)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"the hosts could not be connected: {first_line(error)}; check the options, and that the hosts reach host 0"
        ) from error


def meet(what: str) -> None:
    """Waits until all hosts have called this function with the same text."""
    import jax
    from jax.experimental import multihost_utils

    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def from_first_host(work: Callable[[], T]) -> T:
    """Calls `work` on host 0 and returns its result, a JSON value, on all hosts. All hosts call it at the same place.

    Raises:
        InputError: `work` raised it; it is raised on all hosts. Another exception of `work` is raised unchanged on host
            0 and as an InputError on the others, so that no host waits for one that has ended.
    """
    import jax
    import numpy as np
    from jax.experimental import multihost_utils

    if jax.process_count() == 1:
        return work()
    outcome: dict[str, Any] = {}
    failure: Exception | None = None
    if jax.process_index() == 0:
        try:
            outcome = {"result": work()}
        except Exception as error:
            failure = error
            outcome = {"error": str(error) if isinstance(error, InputError) else f"host 0 failed: {first_line(error)}"}
    text = json.dumps(outcome).encode()
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    # Only the bytes of host 0 count; the other hosts need the same number of bytes.
    mine = np.frombuffer(text.ljust(length)[:length], np.uint8)
    outcome = json.loads(bytes(np.asarray(multihost_utils.broadcast_one_to_all(mine))))
    if failure is not None:
        raise failure
    if "error" in outcome:
        raise InputError(outcome["error"])
    return outcome["result"]
