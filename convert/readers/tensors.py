"""Contents of a checkpoint: lazy tensors, inert stand-ins for objects, and the bytes behind both."""

from __future__ import annotations

import math
import threading
import zlib
from pathlib import Path
from typing import Any, Protocol

import ml_dtypes
import numpy as np

from stvg_jax.core.errors import InputError, quoted

MAX_DIMS = 32
# A view may repeat elements (stride 0); one that claims more than this beyond its storage is not a parameter.
MAX_EXPANDED_BYTES = 2**28
_CHUNK = 2**20

# Names as torch spells them in `torch.float16` and, capitalised, in `HalfStorage`.
TORCH_DTYPES: dict[str, np.dtype] = {
    name: np.dtype(kind)
    for name, kind in {
        "float64": np.float64,
        "double": np.float64,
        "float32": np.float32,
        "float": np.float32,
        "float16": np.float16,
        "half": np.float16,
        "bfloat16": ml_dtypes.bfloat16,
        "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
        "float8_e5m2": ml_dtypes.float8_e5m2,
        "int64": np.int64,
        "long": np.int64,
        "int32": np.int32,
        "int": np.int32,
        "int16": np.int16,
        "short": np.int16,
        "int8": np.int8,
        "uint8": np.uint8,
        "uint16": np.uint16,
        "uint32": np.uint32,
        "uint64": np.uint64,
        "bool": np.bool_,
        "complex64": np.complex64,
        "complex128": np.complex128,
    }.items()
}


class FileSource:
    """A file opened for reads at given positions; several threads may share it.

    Raises:
        InputError: `path` is missing, a directory, or cannot be opened; or a read goes past the end.
    """

    def __init__(self, path: Path):
        self.path = path
        if path.is_dir():
            raise InputError(f"{path} is a directory; give a checkpoint file (.pth, .pt, .bin or .safetensors)")
        if not path.exists():
            raise InputError(f"{path}: no such file; give the path of a checkpoint (.pth, .pt, .bin or .safetensors)")
        if not path.is_file():
            raise InputError(f"{path} is a pipe or a device; a checkpoint is a file on disk")
        try:
            self.file = path.open("rb")
        except OSError as error:
            raise InputError(f"{path} cannot be opened: {error.strerror or error}") from error
        self.size = self.file.seek(0, 2)
        self._lock = threading.Lock()

    def read(self, start: int, count: int) -> bytes:
        """The `count` bytes from position `start`."""
        return self.read_array(start, count).tobytes()

    def read_array(self, start: int, count: int) -> np.ndarray:
        """The `count` bytes from position `start`, as a writable uint8 [count]."""
        if start + count > self.size:
            raise self.short(f"bytes {start} to {start + count}", start + count)
        out = np.empty(count, np.uint8)
        with self._lock:
            self.file.seek(start)
            found = self.file.readinto(out.data)
        if found != count:
            raise self.short(f"bytes {start} to {start + count}", start + count)
        return out

    def short(self, what: str, needed: int) -> InputError:
        """The error for a file that ends before byte `needed`, where `what` should be."""
        return InputError(
            f"{self.path} is cut short: {what} needs {needed:,} bytes of file, found {self.size:,}; download it again"
        )

    def close(self) -> None:
        self.file.close()


class Storage(Protocol):
    """A run of bytes that tensors view."""

    nbytes: int
    big_endian: bool

    def read(self, start: int, count: int) -> np.ndarray:
        """`count` bytes from byte `start` of the storage: writable uint8 [count]."""
        ...


class FileStorage:
    """A storage inside a file.

    With `crc` (zip entries have one) the whole storage is checked against it once, at the first read of any part,
    so no tensor is ever returned from unchecked bytes. Legacy and safetensors files record no checksum.
    """

    def __init__(self, source: FileSource, name: str, start: int, nbytes: int, *, crc=None, big_endian=False):
        self.name = name
        self.start = start
        self.nbytes = nbytes
        self.big_endian = big_endian
        self._source = source
        self._crc = crc
        self._checked = crc is None

    def read(self, start: int, count: int) -> np.ndarray:
        if self._checked or (start == 0 and count == self.nbytes):
            data = self._source.read_array(self.start + start, count)
            if not self._checked:
                self._check(zlib.crc32(data.data))
            return data
        self._check(self._crc_in_chunks())
        return self._source.read_array(self.start + start, count)

    def _crc_in_chunks(self) -> int:
        crc = 0
        for at in range(0, self.nbytes, _CHUNK):
            crc = zlib.crc32(self._source.read_array(self.start + at, min(_CHUNK, self.nbytes - at)).data, crc)
        return crc

    def _check(self, found: int) -> None:
        if found != self._crc:
            raise InputError(
                f"{self._source.path} is damaged: the checksum of {quoted(self.name)} ({self.nbytes:,} bytes) is "
                f"{found:08x}, recorded is {self._crc:08x}; download it again"
            )
        self._checked = True


class BytesStorage:
    """A storage in memory (the content of a pickled numpy array)."""

    def __init__(self, data: bytes, *, big_endian: bool = False):
        self.nbytes = len(data)
        self.big_endian = big_endian
        self._data = data

    def read(self, start: int, count: int) -> np.ndarray:
        return np.frombuffer(self._data, np.uint8, count, start).copy()


class TensorRef:
    """A tensor that stays in the file until it is read.

    Attributes:
        shape: sizes, tuple of int.
        dtype: numpy dtype in native byte order; bfloat16 and float8 are those of `ml_dtypes`.
        strides: steps in elements, tuple of int, none negative.
        start: position of the first element in the storage, in bytes.
        storage: the bytes; tensors of one storage hold the same object.

    Raises:
        ValueError: (construction) the sizes, strides and start do not describe elements inside the storage.
    """

    __slots__ = ("dtype", "shape", "start", "storage", "strides")

    def __init__(self, storage: Storage, dtype: np.dtype, shape: tuple, strides: tuple | None = None, start: int = 0):
        self.storage = storage
        self.dtype = np.dtype(dtype)
        self.shape = _sizes(shape)
        self.strides = contiguous_strides(self.shape) if strides is None else _sizes(strides)
        (self.start,) = _sizes((start,))
        self._check(storage.nbytes)

    def __repr__(self) -> str:
        return f"TensorRef(shape={self.shape}, dtype={self.dtype})"

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the array that `read` returns."""
        return self.size * self.dtype.itemsize

    def view(self, dtype: np.dtype | None, shape: tuple, strides: tuple, offset: int) -> TensorRef:
        """Another tensor over the same elements, `offset` counted in elements of `dtype` from the start of this one.

        Raises:
            ValueError: the view reaches outside this tensor, which must be one-dimensional and contiguous.
        """
        dtype = self.dtype if dtype is None else dtype
        (offset,) = _sizes((offset,))
        out = TensorRef(self.storage, dtype, shape, strides, self.start + offset * np.dtype(dtype).itemsize)
        out._check(self.start + self.nbytes)
        return out

    def read(self) -> np.ndarray:
        """The values: a new C-contiguous array of `shape` and `dtype`.

        Raises:
            InputError: the file is too short or its checksum is wrong.
        """
        if not self.size:
            return np.empty(self.shape, self.dtype)
        flat = self._native(self.storage.read(self.start, self._span()))
        if self.strides == contiguous_strides(self.shape):
            return flat.reshape(self.shape)
        steps = tuple(s * self.dtype.itemsize for s in self.strides)
        return np.lib.stride_tricks.as_strided(flat, self.shape, steps).copy(order="C")

    def _native(self, raw: np.ndarray) -> np.ndarray:
        if self.dtype == np.bool_:
            return raw != 0  # a byte of 2 viewed as bool would be neither true nor false
        if self.storage.big_endian:
            width = self.dtype.itemsize // (2 if self.dtype.kind == "c" else 1)
            raw = raw.view(f"u{width}").byteswap()
        return raw.view(self.dtype)

    def _span(self) -> int:
        """Bytes from the first element to the end of the last one."""
        if not self.size:
            return 0
        last = sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        return (last + 1) * self.dtype.itemsize

    def _check(self, end: int) -> None:
        if len(self.shape) > MAX_DIMS or len(self.shape) != len(self.strides):
            raise ValueError(f"tensor with {len(self.shape)} sizes and {len(self.strides)} strides")
        claimed = math.prod(max(n, 1) for n in self.shape) * self.dtype.itemsize
        if claimed > max(self.storage.nbytes, MAX_EXPANDED_BYTES):
            raise ValueError(f"tensor {self.shape} would take {claimed} bytes, its storage {self.storage.nbytes}")
        if self.size and self.start + self._span() > end:
            raise ValueError(f"tensor {self.shape} ends at byte {self.start + self._span()} of a storage of {end}")


class Opaque:
    """An object of an unknown class, as data: nothing of it was imported or called.

    Attributes:
        name: "module.name" of the class or function, as the file spells it.
        args: arguments of the call that would have made it; None if the file only mentions the name.
        state: state that would have been restored (often the instance's `__dict__`); None if there was none.
        mapping: items set on it, for subclasses of dict such as a yacs `CfgNode`.
        sequence: items appended to it, for subclasses of list and for sets.
    """

    __slots__ = ("args", "mapping", "name", "sequence", "state")

    def __init__(self, name: str, args: tuple | None = None):
        self.name = name
        self.args = args
        self.state: Any = None
        self.mapping: dict = {}
        self.sequence: list = []

    def __repr__(self) -> str:
        return f"Opaque({self.name!r})"


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides in elements of a C-contiguous array of `shape`."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def _sizes(values: tuple) -> tuple[int, ...]:
    if not isinstance(values, (tuple, list)) or len(values) > MAX_DIMS:
        raise ValueError("sizes or strides are not a tuple, or too many")
    if any(type(v) is not int or not 0 <= v < 2**62 for v in values):
        raise ValueError("sizes, strides or offset out of range")
    return tuple(values)
