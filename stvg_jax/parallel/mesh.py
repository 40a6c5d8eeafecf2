"""The mesh of devices, and how arrays lie on it."""

from __future__ import annotations

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from stvg_jax.core.errors import InputError

# Batches are split over both axes; `fsdp` devices share one copy of what is split by parameter rules.
BATCH = PartitionSpec(("data", "fsdp"))
REPLICATED = PartitionSpec()


def make_mesh(fsdp: int = 1) -> Mesh:
    """All devices of all hosts as a mesh with axes `data` and `fsdp`.

    The devices of one host stand together, so that each host holds consecutive rows of a batch.

    Args:
        fsdp: devices that share one copy of the parameters.

    Raises:
        InputError: if the devices cannot be divided so.
    """
    devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
    if fsdp < 1 or len(devices) % fsdp:
        raise InputError(f"{len(devices)} devices cannot be divided into groups of fsdp={fsdp}")
    grid = np.array(devices).reshape(-1, fsdp)
    return Mesh(grid, ("data", "fsdp"), axis_types=(AxisType.Auto, AxisType.Auto))


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Of arrays whose first axis is the batch."""
    return NamedSharding(mesh, BATCH)


def replicate(tree, mesh: Mesh):
    """Puts the same host arrays on every device of the mesh; every host must call it with the same values."""
    return jax.device_put(tree, NamedSharding(mesh, REPLICATED))
