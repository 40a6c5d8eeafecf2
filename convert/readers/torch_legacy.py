"""The container of `torch.save` before PyTorch 1.6 (and of `_use_new_zipfile_serialization=False` since).

Five pickles follow each other: a magic number, a version, facts about the machine, the contents, the list of storage
keys. After them come the storages in that order, each as its number of elements (int64) and its bytes. Both are
little-endian on every machine, and there is no checksum.
"""

from __future__ import annotations

import pickle
import struct
from typing import Any

import numpy as np

from stvg_jax.convert.readers.pickle_limits import MAX_PICKLE_BYTES, BoundedStream, work_limit
from stvg_jax.convert.readers.pickles import read_pickle
from stvg_jax.convert.readers.tensors import FileSource, FileStorage, TensorRef
from stvg_jax.core.errors import InputError, quoted

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
MAGICS = tuple(pickle.dumps(_MAGIC_NUMBER, protocol) for protocol in range(6))
_VERSION = 1001
_FACTS_WORK = 1_000  # steps of the pickles before the contents, which hold a few numbers each


def read_torch_legacy(source: FileSource) -> Any:
    """The content of the file as plain data; see `read_pickle`.

    Raises:
        InputError: the file is cut short, damaged, of another version, or hostile.
    """
    source.file.seek(0)
    stream = BoundedStream(source.file, min(source.size, MAX_PICKLE_BYTES))
    storages = _Storages(source)
    _, version, _ = (read_pickle(source.path, stream, _FACTS_WORK) for _ in range(3))
    if version != _VERSION:
        found = quoted(version) if type(version) in (int, str) else f"of kind {type(version).__name__}"
        raise InputError(f"{source.path} has version {found} of the format before PyTorch 1.6; known is {_VERSION}")
    limit = work_limit(source.size)
    tree = read_pickle(source.path, stream, limit, storages.declare)
    storages.place(read_pickle(source.path, stream, limit // 2), stream.tell())
    return tree


class _Storages:
    """The storages that the contents mention, and where the end of the file holds them."""

    def __init__(self, source: FileSource):
        self.source = source
        self.by_key: dict[str, tuple[FileStorage, int]] = {}

    def declare(self, dtype: np.dtype, key: str, numel: int) -> TensorRef:
        """The storage `key` as `numel` elements of `dtype`; its place in the file is not known yet."""
        nbytes, name = numel * dtype.itemsize, f"storage {quoted(key, 50)}"
        if nbytes > self.source.size:
            raise self.source.short(name, nbytes)
        if key not in self.by_key:
            self.by_key[key] = FileStorage(self.source, name, 0, nbytes), numel
        return TensorRef(self.by_key[key][0], dtype, (numel,))

    def place(self, keys: Any, start: int) -> None:
        """Walk the storages from byte `start` on, in the order of `keys`."""
        path = self.source.path
        # Kinds before values: making text of a list that holds itself many times over may never end.
        if type(keys) is not list or any(type(key) is not str for key in keys) or len(set(keys)) != len(keys):
            raise InputError(f"{path} is damaged: it lacks a list of distinct storages; download it again")
        for key in keys:
            if key not in self.by_key:
                raise InputError(f"{path} is damaged: it lists a storage {quoted(key, 50)} that nothing uses")
            start = self._place_one(key, start)
        missing = len(self.by_key) - len(keys)
        if missing:
            raise InputError(f"{path} is damaged: it lacks {missing} of {len(self.by_key)} storages; download it again")

    def _place_one(self, key: str, start: int) -> int:
        storage, numel = self.by_key[key]
        storage.start = start + 8
        stop = storage.start + storage.nbytes
        if stop > self.source.size:
            raise self.source.short(storage.name, stop)
        (found,) = struct.unpack("<q", self.source.read(start, 8))
        if found != numel:
            raise InputError(
                f"{self.source.path} is damaged: {storage.name} should hold {numel:,} elements, "
                f"found {found:,}; download it again"
            )
        return stop
