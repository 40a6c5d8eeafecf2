"""Random draws and the order of samples: pure functions of (seed, epoch), without memory of earlier batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from stvg_jax.core.errors import InputError

NO_SAMPLE = -1
# Purposes of random numbers.
ORDER, CLIP = range(2)


def check_seed(seed: int) -> None:
    """Raises an InputError for a number that cannot be a seed."""
    if not 0 <= seed < 2**63:
        raise InputError(f"seed {seed}: give a whole number from 0 to {2**63 - 1}")


def generator(seed: int, epoch: int, purpose: int, index: int = 0) -> np.random.Generator:
    """A separate generator for each combination of arguments; none repeats numbers of another.

    Philox computes each number from a key and a counter. The key is (seed, epoch); the upper half of the counter is the
    purpose of the numbers, and the lower half counts them. (Functions of numpy such as a permutation may use these
    numbers differently in another version; all hosts of a run need the same version.)

    Args:
        purpose: ORDER or CLIP.
        index: index of the sample.
    """
    return np.random.Generator(np.random.Philox(key=[seed, epoch], counter=[0, 0, index, purpose]))


@dataclasses.dataclass(frozen=True)
class Order:
    """The batches of one epoch.

    Attributes:
        samples: int32 [batches, batch size], indices of samples; NO_SAMPLE where a batch of evaluation is not full.
        buckets: int32 [batches], the bucket to which a batch is padded: that of its widest sample, or a wider one.
    """

    samples: np.ndarray
    buckets: np.ndarray


def training_order(buckets: np.ndarray, batch_size: int, seed: int, epoch: int) -> Order:
    """Shuffled full batches of samples of one bucket each.

    Samples left over in a bucket go into the next wider one; padding changes no result. So fewer than `batch_size`
    samples are left out in all, other ones in every epoch.

    Args:
        buckets: int [n], the bucket of each sample; a higher number is a wider bucket.
    """
    rng = generator(seed, epoch, ORDER)
    kept = rng.permutation(len(buckets))[: len(buckets) // batch_size * batch_size]
    order = _group(kept, buckets, batch_size)
    shuffled = rng.permutation(len(order.samples))
    return Order(order.samples[shuffled], order.buckets[shuffled])


def evaluation_order(buckets: np.ndarray, batch_size: int, only: Sequence[int] | None = None) -> Order:
    """Batches in which every sample is exactly once, the last one filled up with NO_SAMPLE.

    Args:
        buckets: as for `training_order`.
        only: indices of the samples wanted; None for all.
    """
    wanted = np.arange(len(buckets)) if only is None else np.unique(np.asarray(only, np.int64))
    return _group(wanted, buckets, batch_size)


def _group(samples: np.ndarray, buckets: np.ndarray, batch_size: int) -> Order:
    """Batches from the narrowest bucket to the widest; each keeps the order of `samples` within its bucket."""
    batches, numbers = [np.zeros((0, batch_size), np.int64)], [np.zeros(0, np.int64)]
    left_over = samples[:0]
    present = np.unique(buckets[samples])
    for bucket in present:
        waiting = np.concatenate([left_over, samples[buckets[samples] == bucket]])
        if bucket == present[-1]:
            waiting = np.pad(waiting, (0, -len(waiting) % batch_size), constant_values=NO_SAMPLE)
        full = len(waiting) // batch_size
        batches.append(waiting[: full * batch_size].reshape(full, batch_size))
        numbers.append(np.full(full, bucket))
        left_over = waiting[full * batch_size :]
    return Order(np.concatenate(batches).astype(np.int32), np.concatenate(numbers).astype(np.int32))
