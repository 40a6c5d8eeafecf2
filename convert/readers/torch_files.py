"""The two containers of `torch.save`: a zip since PyTorch 1.6, a row of pickles before.

The zip is uncompressed. `<root>/data.pkl` describes the contents, `<root>/data/<key>` holds the bytes of each storage,
`<root>/byteorder` says how they were written (little-endian where absent).

The older container (also with `_use_new_zipfile_serialization=False`) begins with five pickles: a magic number,
a version, facts about the machine, the contents, the list of storage keys. After them come the storages in that order,
each as its number of elements (int64) and its bytes. Both are little-endian on every machine, and there is no checksum.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from typing import Any

import numpy as np

from stvg_jax.convert.readers.pickle_rules import MAX_PICKLE_BYTES, BoundedStream, work_limit
from stvg_jax.convert.readers.pickles import read_pickle
from stvg_jax.convert.readers.tensors import FileSource, FileStorage, TensorRef
from stvg_jax.core.errors import InputError, quoted

ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ENCRYPTED = 0x1
# Errors of zipfile for directories of random bytes.
_BAD_ZIP = (
    zipfile.BadZipFile,
    NotImplementedError,
    ValueError,
    OverflowError,
    EOFError,
    OSError,
    IndexError,
    struct.error,
    RuntimeError,
)


def read_torch_zip(source: FileSource) -> Any:
    """The content of the file as plain data; see `read_pickle`.

    Raises:
        InputError: the archive is cut short, damaged, not one of torch.save's, or hostile.
    """
    archive = _Archive(source)
    stream = BoundedStream(io.BytesIO(archive.pickle()), MAX_PICKLE_BYTES)
    return read_pickle(source.path, stream, work_limit(source.size), archive.storage)


class _Archive:
    def __init__(self, source: FileSource):
        self.source = source
        self.entries = _directory(source)
        # `torch.serialization.set_crc32_options(False)` writes 0 for every entry.
        self.has_checksums = any(entry.CRC for entry in self.entries.values())
        self.root = self._find_root()
        self.big_endian = False
        self.big_endian = self._is_big_endian()
        self.storages: dict[str, FileStorage] = {}

    def pickle(self) -> bytes:
        entry = self._open(f"{self.root}/data.pkl")
        if entry.nbytes > MAX_PICKLE_BYTES:
            raise InputError(
                f"{self.source.path}: {quoted(entry.name)} has {entry.nbytes:,} bytes; it is not a checkpoint"
            )
        return entry.read(0, entry.nbytes).tobytes()

    def storage(self, dtype: np.dtype, key: str, numel: int) -> TensorRef:
        """The storage `key` as `numel` elements of `dtype`."""
        name = f"{self.root}/data/{key}"
        if key not in self.storages:
            if name not in self.entries:
                raise InputError(f"{self.source.path} is damaged: it lacks the entry {quoted(name)}; download it again")
            self.storages[key] = self._open(name)
        storage = self.storages[key]
        if numel * dtype.itemsize > storage.nbytes:
            raise InputError(
                f"{self.source.path} is damaged: {quoted(name)} should hold {numel * dtype.itemsize:,} bytes, "
                f"found {storage.nbytes:,}; download it again"
            )
        return TensorRef(storage, dtype, (numel,))

    def _find_root(self) -> str:
        roots = [name.removesuffix("/data.pkl") for name in self.entries if name.endswith("/data.pkl")]
        roots = [root for root in roots if "/" not in root]
        if len(roots) != 1:
            some = ", ".join(quoted(name, 60) for name in list(self.entries)[:3]) or "nothing"
            raise InputError(
                f"{self.source.path} is a zip archive that torch.save did not write (it holds {some}); "
                "give the .pth or .safetensors file itself"
            )
        if f"{roots[0]}/constants.pkl" in self.entries:
            raise InputError(f"{self.source.path} is a TorchScript program; give a checkpoint saved with torch.save")
        return roots[0]

    def _is_big_endian(self) -> bool:
        name = f"{self.root}/byteorder"
        if name not in self.entries:
            return False
        entry = self._open(name)
        order = entry.read(0, min(entry.nbytes, 64)).tobytes()
        if order not in (b"little", b"big"):
            raise InputError(f"{self.source.path} is damaged: its byte order is {quoted(order)}, not 'little' or 'big'")
        return order == b"big"

    def _open(self, name: str) -> FileStorage:
        """The bytes of an entry, after a check of both of its headers."""
        path, info = self.source.path, self.entries[name]
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise InputError(
                f"{path}: the entry {quoted(name)} is compressed, which torch.save never does; unpack and re-save"
            )
        if info.flag_bits & _ENCRYPTED:
            raise InputError(f"{path}: the entry {quoted(name)} is encrypted")
        signature, name_length, extra_length = _LOCAL_HEADER.unpack(
            self.source.read(info.header_offset, _LOCAL_HEADER.size)
        )
        if signature != b"PK\x03\x04":
            raise InputError(
                f"{path} is damaged: the entry {quoted(name)} is not where the directory says; download it again"
            )
        start = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
        if start + info.file_size > self.source.size:
            raise self.source.short(f"the entry {quoted(name)}", start + info.file_size)
        crc = info.CRC if self.has_checksums else None
        return FileStorage(self.source, name, start, info.file_size, crc=crc, big_endian=self.big_endian)


def _directory(source: FileSource) -> dict[str, zipfile.ZipInfo]:
    """The entries by name."""
    try:
        with zipfile.ZipFile(source.file) as archive:
            entries = archive.infolist()
    except _BAD_ZIP as error:
        raise InputError(
            f"{source.path} is cut short or damaged: it has {source.size:,} bytes and lacks the directory that ends a "
            f"torch file ({quoted(str(error))}); download it again"
        ) from error
    names = {entry.filename: entry for entry in entries}
    if len(names) != len(entries):
        raise InputError(f"{source.path} holds two entries of one name; torch.save did not write it")
    total = sum(entry.compress_size for entry in entries)
    if total > source.size:
        raise InputError(
            f"{source.path} is damaged: its entries take {total:,} bytes, found {source.size:,}; download it again"
        )
    if any(entry.header_offset < 0 for entry in entries):
        raise InputError(f"{source.path} is damaged: an entry starts before the file; download it again")
    return names


_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
LEGACY_MAGICS = tuple(pickle.dumps(_MAGIC_NUMBER, protocol) for protocol in range(6))
_VERSION = 1001
_FACTS_WORK = 1_000  # steps for each pickle before the contents, which holds a few numbers


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
    """The storages that the contents mention, and their places at the end of the file."""

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
        """Notes the places of the storages, from byte `start` on and in the order of `keys`."""
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
        end = storage.start + storage.nbytes
        if end > self.source.size:
            raise self.source.short(storage.name, end)
        (found,) = struct.unpack("<q", self.source.read(start, 8))
        if found != numel:
            raise InputError(
                f"{self.source.path} is damaged: {storage.name} should hold {numel:,} elements, "
                f"found {found:,}; download it again"
            )
        return end
