"""Random numbers that no new version of a library changes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Draws:
    """A stream of random values named by `key`; equal keys give equal streams everywhere.

    It rests on the raw output of PCG64, which NumPy keeps for good, and not on NumPy's distributions, which may change
    from version to version (NEP 19).
    """

    def __init__(self, *key: str | int):
        digest = hashlib.sha256("\n".join(map(str, key)).encode()).digest()
        self._bits = np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest[:16], "big")))

    def uniforms(self, *shape: int) -> np.ndarray:
        """float64 of `shape`, in [0, 1)."""
        raw = self._bits.random_raw(int(np.prod(shape)))
        return ((raw >> np.uint64(11)) * 2.0**-53).reshape(shape)

    def uniform(self, low: float, high: float) -> float:
        """In [low, high)."""
        return low + (high - low) * float((self._bits.random_raw() >> 11) * 2.0**-53)

    def integer(self, low: int, high: int) -> int:
        """One of low .. high, both ends included."""
        return low + int(self.uniform(0, high - low + 1))

    def chance(self, probability: float) -> bool:
        return self.uniform(0, 1) < probability

    def choice(self, values: Sequence[T]) -> T:
        return values[self.integer(0, len(values) - 1)]

    def weighted(self, weights: Mapping[T, float]) -> T:
        """One of the keys, each as often as its weight says."""
        place = self.uniform(0, sum(weights.values()))
        for value, weight in weights.items():
            place -= weight
            if place < 0:
                return value
        return value  # rounding errors used up the last weight

    def shuffled(self, values: Sequence[T]) -> list[T]:
        rest = list(values)
        return [rest.pop(self.integer(0, len(rest) - 1)) for _ in values]
