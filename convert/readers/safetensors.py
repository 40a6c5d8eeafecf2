"""The safetensors container: a JSON header with the byte range of each tensor, then the bytes.

The `safetensors` library judges the header (ranges inside the file, no holes, no overlaps); the values are read from
the ranges directly, because the library's mapping of the whole file counts as memory of the process, and its numpy
side has no bfloat16.
"""

from __future__ import annotations

import numpy as np
from safetensors import SafetensorError, safe_open

from stvg_jax.convert.readers.tensors import TORCH_DTYPES, FileSource, FileStorage, TensorRef
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.json_files import parse_json

_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
    "C64": "complex64",
}


def read_safetensors(source: FileSource) -> dict[str, TensorRef]:
    """Every tensor of the file by name, in file order.

    Raises:
        InputError: the library refuses the file, or it holds numbers without a numpy counterpart.
    """
    try:
        with safe_open(source.path, framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{source.path} is a damaged or cut short safetensors file of {source.size:,} bytes "
            f"({quoted(str(error))}); download it again"
        ) from error
    length = int.from_bytes(source.read(0, 8), "little")
    try:
        header = parse_json(source.read(8, length))
    except ValueError as error:  # a name twice, of which the library takes the last
        raise InputError(f"{source.path} is damaged: {error}; download it again") from error
    header.pop("__metadata__", None)
    by_position = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
    return {name: _tensor(source, name, entry, 8 + length) for name, entry in by_position}


def _tensor(source: FileSource, name: str, entry: dict, data_start: int) -> TensorRef:
    if entry["dtype"] not in _DTYPES:
        raise InputError(
            f"{source.path}: tensor {quoted(name)} is {quoted(entry['dtype'])}; readable are {', '.join(_DTYPES)}"
        )
    first, end = entry["data_offsets"]
    storage = FileStorage(source, name, data_start + first, end - first)
    dtype: np.dtype = TORCH_DTYPES[_DTYPES[entry["dtype"]]]
    try:
        return TensorRef(storage, dtype, tuple(entry["shape"]))
    except ValueError as error:
        raise InputError(f"{source.path}: tensor {quoted(name)} cannot be read: {error}") from error
