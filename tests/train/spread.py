"""A training of a test on 8 devices, of one host or several: a program of its own, as JAX starts with its devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np

from tests.hosts import run_hosts

_PROGRAM = """if True:
    import argparse, importlib
    from stvg_jax.parallel import hosts
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("module")
    parser.add_argument("function")
    hosts.add_arguments(parser)
    args = parser.parse_args()
    hosts.join(args)
    import jax, numpy as np
    from jax.experimental.multihost_utils import process_allgather
    from stvg_jax.parallel.mesh import make_mesh

    mesh = make_mesh(fsdp=2)
    assert dict(mesh.shape) == {"data": 4, "fsdp": 2}
    result = getattr(importlib.import_module(args.module), args.function)(mesh)
    leaves = [process_allgather(x, tiled=True) if isinstance(x, jax.Array) else x for x in jax.tree.leaves(result)]
    if not jax.process_index():
        np.savez(args.out, *leaves)
"""


def on_eight_devices(function, hosts: int, folder: Path, like: Any) -> Any:
    """The tree of arrays that `function(mesh)` of a test module returns on a mesh of 4 x 2 devices.

    Args:
        function: at the top of its module.
        hosts: processes that share the devices.
        folder: for the result.
        like: tree of the same structure.
    """
    out = folder / "out.npz"
    arguments = ["-c", _PROGRAM, str(out), function.__module__, function.__name__]
    for done in run_hosts(arguments, hosts=hosts, devices=8 // hosts):
        assert done.returncode == 0, done.stderr
    with np.load(out) as file:
        leaves = [file[f"arr_{i}"] for i in range(len(file.files))]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def rows_of_host(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """This host's rows of a whole batch."""
    rows = len(next(iter(batch.values()))) // jax.process_count()
    first = jax.process_index() * rows
    return {name: value[first : first + rows] for name, value in batch.items()}
