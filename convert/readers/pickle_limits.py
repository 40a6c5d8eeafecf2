"""Limits on what a pickle costs and holds: bytes, steps, keys that compare fast, nesting that can be walked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO

from stvg_jax.convert.readers.tensors import Opaque, TensorRef

MAX_PICKLE_BYTES = 2**26  # a checkpoint with 4,000 tensors has a pickle of about 1 MB
MAX_WORK = 2_000_000  # opcodes, plus elements copied; the same checkpoint takes about 200,000
_FREE_WORK = 100_000  # for a file of any size
MAX_MARKS = 1_000
MAX_DEPTH = 500
MAX_NAME = 500
MAX_INT_BITS = 4_096
# Python hashes integers modulo this prime: larger keys could all be made to collide.
_HASH_PRIME = 2**61 - 1
_CONTAINERS = (dict, list, tuple, Opaque)


class BoundedStream:
    """A binary stream that never gives more than `limit` bytes, and allocates no more than it holds."""

    def __init__(self, stream: BinaryIO, limit: int):
        self._stream = stream
        self._left = limit

    def read(self, count: int) -> bytes:
        return self._took(self._stream.read(max(0, min(count, self._left))))

    def readline(self) -> bytes:
        return self._took(self._stream.readline(self._left))

    def tell(self) -> int:
        return self._stream.tell()

    def _took(self, data: bytes) -> bytes:
        self._left -= len(data)
        return data


def work_limit(size: int) -> int:
    """The steps that a file of `size` bytes may take; real ones need at most one for two bytes."""
    return min(MAX_WORK, _FREE_WORK + size // 2)


def fill(target: dict, pairs: Iterable) -> dict:
    """`target` with `pairs` added, every key checked.

    A tuple as a key becomes an `Opaque`, which compares by identity: thousands of tuples can be made whose hashes are
    all equal.
    """
    for key, value in pairs:
        target[Opaque("builtins.tuple", key) if type(key) is tuple else _checked_key(key)] = value
    return target


def is_deeper(root: Any, limit: int) -> bool:
    """Whether `root` nests more than `limit` deep, which may overflow the stack of whoever walks it."""
    seen, level, depth = {id(root)}, [root], 0  # every object is visited once
    while level:
        depth += 1
        if depth > limit:
            return True
        below = (child for node in level for child in _children(node))
        level = [c for c in below if isinstance(c, _CONTAINERS) and id(c) not in seen and not seen.add(id(c))]
    return False


def _children(node: Any) -> list | tuple:
    if isinstance(node, dict):
        return (*node.keys(), *node.values())
    if isinstance(node, Opaque):
        return (node.args, node.state, node.mapping, node.sequence)
    return node if isinstance(node, (list, tuple)) else ()


def _checked_key(key: Any) -> Any:
    """Refuses keys whose hashing or comparing could be made slow."""
    if type(key) is int and abs(key) >= _HASH_PRIME:
        raise ValueError("an integer key out of range")
    if not isinstance(key, (str, bytes, int, float, Opaque, TensorRef)) and key is not None:
        raise TypeError(f"a key of kind {type(key).__name__}")
    return key
