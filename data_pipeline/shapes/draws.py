"""Random numbers that stay the same in new versions of all libraries."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Draws:
    """Stream of random values; equal keys give equal streams everywhere.

    Only the raw output of PCG64 is used, which NumPy never changes; its distributions may change (NEP 19).
    """

    def __init__(self, *key: str | int):
        digest = hashlib.sha256("\n".join(map(str, key)).encode()).digest()
        self._bits = np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest[:16], "big")))

    def uniforms(self, *shape: int) -> np.ndarray:
        """Numbers in [0, 1), float64 of `shape`."""
        raw = self._bits.random_raw(int(np.prod(shape)))
        return ((raw >> np.uint64(11)) * 2.0**-53).reshape(shape)

    def uniform(self, low: float, high: float) -> float:
        """Number in [low, high)."""
        return low + (high - low) * float((self._bits.random_raw() >> 11) * 2.0**-53)

    def integer(self, low: int, high: int) -> int:
        """Whole number from `low` to `high`, both included."""
        return low + int(self.uniform(0, high - low + 1))

    def chance(self, probability: float) -> bool:
        return self.uniform(0, 1) < probability

    def choice(self, values: Sequence[T]) -> T:
        return values[self.integer(0, len(values) - 1)]

    def weighted(self, weights: Mapping[T, float]) -> T:
        """One of the keys, each in proportion to its weight."""
        place = self.uniform(0, sum(weights.values()))
        for value, weight in weights.items():
            place -= weight
            if place < 0:
                return value
        return list(weights)[-1]  # reached by rounding errors only

    def shuffled(self, values: Sequence[T]) -> list[T]:
        rest = list(values)
        return [rest.pop(self.integer(0, len(rest) - 1)) for _ in values]
