"""The mesh of devices, and the transfer of arrays to it and back."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from stvg_jax.core.errors import InputError

S = TypeVar("S")
T = TypeVar("T")

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


def to_mesh(batch: dict[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """Makes global arrays [rows of all hosts, ...], split by rows, from this host's rows of a batch.

    All hosts call it with equal shapes.
    """
    sharding = batch_sharding(mesh)
    hosts = jax.process_count()
    return {
        # Without the global shape, a difference between the shapes of hosts would go unnoticed.
        name: jax.make_array_from_process_local_data(sharding, value, (hosts * len(value), *value.shape[1:]))
        for name, value in batch.items()
    }


def local_rows(array: jax.Array) -> np.ndarray:
    """This host's rows, in their order, of a global array that is split by rows (`batch_sharding`)."""
    shards = {shard.index[0].start or 0: shard.data for shard in array.addressable_shards}
    return np.concatenate([np.asarray(shards[start]) for start in sorted(shards)])


def ahead(items: Iterable[S], work: Callable[[S], T], depth: int = 2) -> Iterator[T]:
    """Applies `work` to items on a thread, up to `depth` results ahead; exceptions are raised in place of results."""
    # Each result is a list of one; an empty list marks the end.
    results: collections.deque[Future[list[T]]] = collections.deque()
    source = iter(items)

    def step() -> list[T]:
        return [work(item) for item in itertools.islice(source, 1)]

    with ThreadPoolExecutor(1) as pool:
        try:
            while True:
                while len(results) < depth:
                    results.append(pool.submit(step))
                if not (result := results.popleft().result()):
                    return
                yield result[0]
        finally:
            for future in results:
                future.cancel()
