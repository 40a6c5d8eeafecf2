"""The mesh of devices, and the placement of arrays on it."""

from __future__ import annotations

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from stvg_jax.core.errors import InputError

# Batches are split over both axes; the devices along `fsdp` share one copy of the split parameters.
BATCH = PartitionSpec(("data", "fsdp"))
REPLICATED = PartitionSpec()


def make_mesh(fsdp: int = 1) -> Mesh:
    """Makes a mesh of all devices of all hosts, with axes `data` and `fsdp`.

    The devices of a host are neighbours, so each host has consecutive rows of a batch.

    Args:
        fsdp: number of devices that share one copy of the parameters.

    Raises:
        InputError: the number of devices is not a multiple of `fsdp`.
    """
    devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
    if fsdp < 1 or len(devices) % fsdp:
        raise InputError(f"fsdp={fsdp} must divide the number of devices, {len(devices)}; change config.train.fsdp")
    grid = np.array(devices).reshape(-1, fsdp)
    return Mesh(grid, ("data", "fsdp"), axis_types=(AxisType.Auto, AxisType.Auto))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Sharding of arrays whose first axis is the batch."""
    return NamedSharding(mesh, BATCH)


def replicate(tree, mesh: Mesh):
    """Puts a tree of host arrays on every device of the mesh; all hosts call it with the same values."""
    return jax.device_put(tree, NamedSharding(mesh, REPLICATED))
