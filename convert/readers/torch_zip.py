"""The container `torch.save` writes since PyTorch 1.6: an uncompressed zip.

`<root>/data.pkl` describes the contents, `<root>/data/<key>` holds the bytes of each storage, `<root>/byteorder`
says how they were written (little-endian where absent).
"""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any

import numpy as np

from stvg_jax.convert.readers.pickle_limits import MAX_PICKLE_BYTES, BoundedStream, work_limit
from stvg_jax.convert.readers.pickles import read_pickle
from stvg_jax.convert.readers.tensors import FileSource, FileStorage, TensorRef
from stvg_jax.core.errors import InputError, quoted

MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ENCRYPTED = 0x1
# What zipfile raises on directories made of random bytes.
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
            raise InputError(f"{self.source.path}: {quoted(entry.name)} has {entry.nbytes:,} bytes: no checkpoint")
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
        """The bytes of an entry, after a look at both of its headers."""
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
        raise InputError(f"{source.path} holds two entries of one name: no file that torch.save wrote")
    total = sum(entry.compress_size for entry in entries)
    if total > source.size:
        raise InputError(
            f"{source.path} is damaged: its entries take {total:,} bytes, found {source.size:,}; download it again"
        )
    if any(entry.header_offset < 0 for entry in entries):
        raise InputError(f"{source.path} is damaged: an entry starts before the file; download it again")
    return names
