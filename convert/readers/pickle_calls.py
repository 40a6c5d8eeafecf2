"""Handlers for the constructors named in real checkpoints: tensors, storages, ordered dicts, numpy numbers.

Each takes the machine that reads the pickle and the arguments found there, and returns plain data.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, Protocol, TypeGuard

import numpy as np

from stvg_jax.convert.readers.pickle_rules import fill
from stvg_jax.convert.readers.tensors import TORCH_DTYPES, BytesStorage, Opaque, TensorRef, contiguous_strides
from stvg_jax.core.errors import InputError, quoted

_STORAGE_MODULES = re.compile(r"torch(\.[a-z]+)?")
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "uint8",
    "_UntypedStorage": "uint8",
    "QInt8Storage": "int8",
    "QUInt8Storage": "uint8",
    "QInt32Storage": "int32",
}

LoadStorage = Callable[[np.dtype, str, int], TensorRef]


class Machine(Protocol):
    """The part of the machine that the handlers use."""

    load_storage: LoadStorage | None

    def call(self, function: Any, args: Any) -> Any: ...

    def hostile(self, what: str) -> InputError: ...

    def spend(self, amount: int) -> None: ...


class ArrayStub(Opaque):
    """A numpy array between its creation and the arrival of its content."""

    __slots__ = ("memo_keys",)

    def __init__(self):
        super().__init__("numpy.ndarray", ())
        self.memo_keys: list[int] = []


def referenced(machine: Machine, reference: Any) -> Any:
    """The value of a persistent id, which lies outside the pickle: a storage as a 1-D `TensorRef`, or a class."""
    if type(reference) is not tuple or not 2 <= len(reference) <= 6:
        raise TypeError("a reference that is not a short tuple")
    kind, *rest = reference
    if kind == "module":  # a class together with its source text
        return rest[0]
    if kind != "storage" or machine.load_storage is None or len(rest) < 4:
        raise ValueError("unknown kind of reference")
    storage_type, key, _, numel = rest[:4]
    if type(key) is not str or type(numel) is not int or not 0 <= numel < 2**62:
        raise ValueError("a storage without a key and a size")
    base = machine.load_storage(_storage_dtype(storage_type), key, numel)
    if len(rest) == 5 and rest[4] is not None:  # a storage that is a part of another
        _, offset, count = rest[4]
        base = base.view(None, (count,), (1,), offset)
    return base


def _call_tensor(machine: Machine, base: Any, offset: int, shape: Any, strides: Any, *rest: Any) -> Any:
    return _tensor(machine, base, None, offset, shape, strides, rest[2:])


def _call_tensor_v3(
    machine: Machine, base: Any, offset: int, shape: Any, strides: Any, grad, hooks, dtype, *rest: Any
) -> Any:
    return _tensor(machine, base, _torch_dtype(dtype), offset, shape, strides, rest)


def _tensor(machine: Machine, base: Any, dtype, offset: int, shape: Any, strides: Any, metadata: tuple) -> Any:
    if not isinstance(base, TensorRef):
        raise TypeError(f"a tensor over a {type(base).__name__}")
    if metadata and metadata[0]:  # lazily conjugated or negated: the stored numbers are not the values
        return Opaque("torch.Tensor", metadata)
    return base.view(dtype, shape, strides, offset)


def _call_parameter(machine: Machine, data: Any, *_: Any) -> Any:
    return data


def _call_from_type(machine: Machine, function: Any, _kind: Any, args: Any, *_: Any) -> Any:
    return machine.call(function, args)


def _call_dict(machine: Machine, *args: Any) -> dict:
    """OrderedDict and similar classes; Python 2 writes the items as a list of pairs."""
    if not args:
        return {}
    pairs = args[0].items() if type(args[0]) is dict else args[0]
    machine.spend(len(pairs))
    return fill({}, pairs)


def _call_defaultdict(machine: Machine, *args: Any) -> dict:
    return _call_dict(machine, *args[1:])


def _call_size(machine: Machine, sizes: Any = ()) -> tuple:
    machine.spend(len(sizes))
    return tuple(sizes)


def _call_encode(machine: Machine, text: str, encoding: str = "utf-8", *_: Any) -> bytes:
    """Bytes, as protocols below 3 write them."""
    if encoding not in ("latin1", "latin-1", "utf-8"):
        raise ValueError("bytes in an unknown encoding")
    machine.spend(len(text) // 64)
    return text.encode(encoding)


def _call_bytes(machine: Machine, *args: Any) -> Any:
    return Opaque("builtins.bytes", args) if args else b""


def _call_reconstructor(machine: Machine, kind: Any, _base: Any, state: Any) -> Any:
    return machine.call(kind, () if state is None else (state,))


def _call_newobj(machine: Machine, kind: Any, *args: Any) -> Any:
    return machine.call(kind, args)


def _call_newobj_ex(machine: Machine, kind: Any, args: tuple = (), kwargs: Any = None) -> Any:
    return machine.call(kind, (*args, kwargs) if kwargs else args)


def _call_getattr(machine: Machine, *args: Any) -> Opaque:
    """A member of an enumeration, which Python 3.11 writes as its class and its name, or the maker of a time zone;
    nothing else is harmless."""
    owner, name = (*args, None, None)[:2]
    if len(args) == 2 and type(name) is str and name.isidentifier() and _is_mention(owner):
        if (owner.name, name) == ("zoneinfo.ZoneInfo", "_unpickle"):
            return Opaque(owner.name)
        # Python's own functions are in small letters.
        if not name.startswith("_") and (name.isupper() or not _is_of_python(owner.name)):
            return Opaque(f"{owner.name}.{name}", ())
    raise machine.hostile("tries to call 'builtins.getattr'")


def _call_getitem(machine: Machine, *args: Any) -> Opaque:
    """A type with parameters, such as `typing.Dict[str, int]`."""
    if args and _is_mention(args[0]) and args[0].name.startswith("typing."):
        return Opaque("operator.getitem", args)
    raise machine.hostile("tries to call 'operator.getitem'")


def _call_reduce(machine: Machine, *args: Any) -> Opaque:
    """A union of types or of flags, such as `int | None`."""
    if args and _is_mention(args[0]) and args[0].name == "operator.or_":
        return Opaque("functools.reduce", args)
    raise machine.hostile("tries to call 'functools.reduce'")


def _call_type(machine: Machine, *args: Any) -> Opaque:
    """The type of a value, such as that of None; with more arguments it would make a class."""
    if len(args) == 1:
        return Opaque("builtins.type", args)
    raise machine.hostile("tries to call 'builtins.type'")


def is_partial_methodcaller(value: Opaque) -> bool:
    """True if `value` is a `methodcaller` with keyword arguments, which is written as a call of a partial."""
    function = value.args[0] if value.name == "functools.partial" and value.args else None
    return _is_mention(function) and function.name == "operator.methodcaller"


def _is_of_python(name: str) -> bool:
    return name.split(".")[0] in sys.stdlib_module_names


def _is_mention(value: Any) -> TypeGuard[Opaque]:
    return isinstance(value, Opaque) and value.args is None


def _call_numpy_dtype(machine: Machine, code: Any, *_: Any) -> Opaque:
    return Opaque("numpy.dtype", (code,))


def _call_numpy_scalar(machine: Machine, dtype: Any, raw: Any = None) -> Any:
    plain, raw = _numpy_dtype(dtype), _raw_bytes(machine, raw)
    if plain is None or raw is None:
        return Opaque("numpy.generic", (dtype, raw))
    if len(raw) != plain.itemsize:
        raise ValueError(f"a number of {plain.itemsize} bytes in {len(raw)}")
    return np.frombuffer(raw, plain).item()


def _call_numpy_array(machine: Machine, *_: Any) -> ArrayStub:
    return ArrayStub()


def array_from_state(machine: Machine, state: Any) -> TensorRef | None:
    """The array that arrives as the state of an `ArrayStub`; None for arrays of text or objects."""
    _, shape, dtype, fortran, raw = state
    return _array(machine, raw, dtype, shape, fortran)


def _call_numpy_buffer(machine: Machine, raw: Any, dtype: Any, shape: Any, order: Any, *rest: Any) -> Any:
    """An array, as protocol 5 writes it."""
    tensor = _array(machine, raw, dtype, shape, order == "F") if order in ("C", "F") else None
    return Opaque("numpy.ndarray", (raw, dtype, shape, order, *rest)) if tensor is None else tensor


def _array(machine: Machine, raw: Any, dtype: Any, shape: Any, fortran: Any) -> TensorRef | None:
    """A tensor over bytes of the pickle; None for arrays of text or objects."""
    plain, raw = _numpy_dtype(dtype), _raw_bytes(machine, raw)
    if plain is None or raw is None:
        return None
    storage = BytesStorage(raw, big_endian=plain.byteorder == ">")
    return TensorRef(storage, plain.newbyteorder("="), shape, _fortran_strides(shape) if fortran else None)


def _raw_bytes(machine: Machine, raw: Any) -> bytes | None:
    if type(raw) is str:  # Python 2 wrote bytes as text
        return _call_encode(machine, raw, "latin1")
    return raw if type(raw) is bytes else None


def _storage_dtype(kind: Any) -> np.dtype:
    module, _, name = kind.name.rpartition(".")
    if name not in _STORAGES or not _STORAGE_MODULES.fullmatch(module):
        raise ValueError(f"unknown storage class {quoted(kind.name)}")
    return TORCH_DTYPES[_STORAGES[name]]


def _torch_dtype(kind: Any) -> np.dtype:
    module, _, name = kind.name.rpartition(".")
    if module != "torch" or name not in TORCH_DTYPES:
        raise ValueError(f"unknown dtype {quoted(kind.name)}")
    return TORCH_DTYPES[name]


def _numpy_dtype(stub: Any) -> np.dtype | None:
    """The numeric dtype a pickled `numpy.dtype` describes; None for text, objects and records."""
    if not isinstance(stub, Opaque) or stub.name != "numpy.dtype" or not stub.args:
        return None
    code = stub.args[0]
    if type(code) is not str or not re.fullmatch(r"b1|[iu][1248]|f[248]|c8|c16", code):
        return None
    order = stub.state[1] if type(stub.state) is tuple and len(stub.state) > 1 else "="
    return np.dtype(">" + code if order == ">" else code)


def _fortran_strides(shape: tuple) -> tuple:
    return contiguous_strides(shape[::-1])[::-1]


CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _call_dict,
    "collections.Counter": _call_dict,
    "collections.defaultdict": _call_defaultdict,
    "types.MappingProxyType": _call_dict,
    "torch._utils._rebuild_tensor": _call_tensor,
    "torch._utils._rebuild_tensor_v2": _call_tensor,
    "torch._utils._rebuild_tensor_v3": _call_tensor_v3,
    "torch._utils._rebuild_device_tensor_from_numpy": _call_parameter,
    "torch._utils._rebuild_parameter": _call_parameter,
    "torch._utils._rebuild_parameter_with_state": _call_parameter,
    "torch._tensor._rebuild_from_type": _call_from_type,
    "torch._tensor._rebuild_from_type_v2": _call_from_type,
    "torch.Size": _call_size,
    "numpy.dtype": _call_numpy_dtype,
    "numpy.core.multiarray.scalar": _call_numpy_scalar,
    "numpy.core.multiarray._reconstruct": _call_numpy_array,
    "numpy.core.numeric._frombuffer": _call_numpy_buffer,
    "_codecs.encode": _call_encode,
    "builtins.bytes": _call_bytes,
    "copyreg._reconstructor": _call_reconstructor,
    "copyreg.__newobj__": _call_newobj,
    "copyreg.__newobj_ex__": _call_newobj_ex,
    "builtins.getattr": _call_getattr,
    "builtins.type": _call_type,
    "functools.reduce": _call_reduce,
    "operator.getitem": _call_getitem,
}
