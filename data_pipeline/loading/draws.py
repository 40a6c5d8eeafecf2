"""Random numbers as a function of what they are for, so that nothing needs to be remembered between two of them."""

from __future__ import annotations

import numpy as np

from stvg_jax.core.errors import InputError

ORDER, CLIP = range(2)


def check_seed(seed: int) -> None:
    """Raises an InputError for what cannot be a seed."""
    if not 0 <= seed < 2**63:
        raise InputError(f"seed {seed}: give a whole number from 0 to {2**63 - 1}")


def generator(seed: int, epoch: int, purpose: int, index: int = 0) -> np.random.Generator:
    """A generator of its own for each combination of arguments; none repeats numbers of another.

    Philox computes each number from a key and a counter. The key is (seed, epoch); the counter's upper half says what
    the numbers are for, and its lower half is left to count them. (What numpy makes of these numbers, a permutation for
    example, may change with numpy's version; all hosts of a run need the same.)

    Args:
        purpose: ORDER or CLIP.
        index: of the sample.
    """
    return np.random.Generator(np.random.Philox(key=[seed, epoch], counter=[0, 0, index, purpose]))
