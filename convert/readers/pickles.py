"""Reading a pickle as data.

A pickle is a program for a small stack machine that may call anything importable. This interpreter runs the
stack part only: nothing named in the file is ever imported or called. Names that real checkpoints hold (tensors,
storages, ordered dicts, numpy numbers) have a handler here, every other class becomes an `Opaque`.

Inert stand-ins make a hostile file harmless, not honest, so names that only serve to run code (`os.system`,
`builtins.eval`, `torch.hub.load`, ...) are reported as an error, wherever they are mentioned.

Work is limited (`MAX_WORK`, `MAX_PICKLE_BYTES`, ...), so that a small file can take neither unbounded memory nor time.
"""

from __future__ import annotations

import pickletools
import re
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from convert.readers.tensors import TORCH_DTYPES, BytesStorage, Opaque, TensorRef, contiguous_strides
from stvg_jax.errors import InputError

MAX_PICKLE_BYTES = 2**26  # a checkpoint with 4,000 tensors has a pickle of about 1 MB
MAX_WORK = 2_000_000  # opcodes, plus elements copied; the same checkpoint takes about 200,000
MAX_MARKS = 1_000
MAX_DEPTH = 500
MAX_NAME = 500
MAX_KEY_ITEMS = 16
MAX_INT_BITS = 4_096
# Python hashes integers modulo this prime: larger keys could all be made to collide.
_HASH_PRIME = 2**61 - 1

# Everything that malformed bytes can trip: short reads, empty stack, unknown memo, wrong kinds of arguments.
_DAMAGE = (
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    AttributeError,
    OverflowError,
    EOFError,
    AssertionError,
    RecursionError,
    struct.error,
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


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

_RENAMED = {
    "copy_reg": "copyreg",
    "__builtin__": "builtins",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
}

_HOSTILE_ROOTS = _words(
    """
    _ctypes _functools _io _operator _osx_support _pickle _posixsubprocess _pyrepl _socket _thread _winapi
    aifc antigravity apport asyncio atexit bdb builtins cPickle cProfile cffi cloudpickle code codecs _codecs codeop
    commands concurrent ctypes dill distutils doctest ensurepip fileinput ftplib functools gc http httplib idlelib imp
    importlib inspect io ipykernel joblib lib2to3 linecache marshal msvcrt multiprocessing nt ntpath operator os pdb
    pickle pickletools pip pkgutil platform popen2 posix posixpath profile pty pydoc requests rlcompleter runpy sched
    setuptools shelve shlex shutil signal site smtplib socket socketserver ssl subprocess sys sysconfig telnetlib
    tempfile threading timeit trace turtledemo types unittest urllib urllib2 uuid venv webbrowser winreg xmlrpc
    zipimport
    """
)
_HOSTILE_PREFIXES = (
    "numpy.distutils",
    "numpy.f2py",
    "numpy.load",
    "numpy.testing",
    "torch._dynamo",
    "torch._inductor",
    "torch.classes",
    "torch.distributed.rpc",
    "torch.fx",
    "torch.hub",
    "torch.jit",
    "torch.load",
    "torch.multiprocessing",
    "torch.ops",
    "torch.package",
    "torch.serialization.load",
    "torch.storage._load_from_bytes",
    "torch.testing",
    "torch.utils.bottleneck",
    "torch.utils.collect_env",
    "torch.utils.cpp_extension",
)
_HARMLESS = frozenset(
    [
        *(f"builtins.{t}" for t in _words("bool bytearray bytes complex dict float frozenset int list object range")),
        *(f"builtins.{t}" for t in _words("set slice str tuple Ellipsis NotImplemented")),
        *(f"{module}.{kind}" for module in ("io", "_io") for kind in ("BytesIO", "StringIO")),
        "_codecs.encode",
        "types.SimpleNamespace",
        "uuid.UUID",
    ]
)
# Keys of a restored `__dict__` that would change what the object does rather than what it holds.
_HOOKS = _words(
    "__class__ __call__ __getattr__ __getattribute__ __getstate__ __init__ __new__ __reduce__ __reduce_ex__ "
    "__setattr__ __setstate__"
)

LoadStorage = Callable[[np.dtype, str, int], TensorRef]


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


def read_pickle(path: Any, stream: BoundedStream, load_storage: LoadStorage | None = None) -> Any:
    """Read one pickle from where `stream` stands, as plain data.

    Args:
        path: name of the file, for messages.
        stream: left just after the pickle.
        load_storage: (dtype, key, number of elements) -> 1-D TensorRef of a storage that the pickle refers to.

    Returns:
        dict, list, tuple, str, bytes, int, float, bool, None, `TensorRef` and `Opaque`, nested; containers may be
        shared and may even contain themselves.

    Raises:
        InputError: the pickle tries to run something, is damaged, or exceeds a limit.
    """
    return _Machine(path, stream, load_storage).run()


class _ArrayStub(Opaque):
    """A numpy array between its creation and the arrival of its content."""

    __slots__ = ("memo_keys",)

    def __init__(self):
        super().__init__("numpy.ndarray", ())
        self.memo_keys: list[int] = []


class _Machine:
    """The stack machine. One instance reads one pickle."""

    def __init__(self, path: Any, stream: BoundedStream, load_storage: LoadStorage | None):
        self.path = path
        self.stream = stream
        self.load_storage = load_storage
        self.stack: list = []
        self.outer: list[list] = []
        self.memo: dict[int, Any] = {}
        self.work = 0

    def run(self) -> Any:
        try:
            for opcode, arg, _ in pickletools.genops(self.stream):
                self.spend(1)
                if opcode.name in _PUSH:
                    self.push_plain(arg)
                elif opcode.name == "STOP":
                    break
                else:
                    _OPCODES[opcode.name](self, arg)
            value = self.stack.pop()
        except _DAMAGE as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise InputError(
                f"{self.path} is damaged or cut short: its table of contents cannot be read near byte "
                f"{self.stream.tell():,} ({reason}); download it again"
            ) from error
        self.check_depth(value)
        return value

    def spend(self, amount: int) -> None:
        self.work += amount
        if self.work > MAX_WORK:
            raise InputError(f"{self.path} needs more than {MAX_WORK:,} steps to describe its contents: no checkpoint")

    def check_depth(self, root: Any) -> None:
        """Refuse what would overflow the stack of whoever walks it; every object is visited once."""
        seen, level, depth = {id(root)}, [root], 0
        while level:
            depth += 1
            if depth > MAX_DEPTH:
                raise InputError(f"{self.path} nests its contents more than {MAX_DEPTH} deep: no checkpoint")
            below = (child for node in level for child in _children(node))
            level = [c for c in below if isinstance(c, _CONTAINERS) and id(c) not in seen and not seen.add(id(c))]

    # Names and calls.

    def reference(self, module: Any, name: Any) -> Opaque:
        """The inert stand-in for a global that the file names."""
        if type(module) is not str or type(name) is not str or len(module) + len(name) > MAX_NAME:
            raise ValueError("a class whose name is no short text")
        module = _RENAMED.get(module, module)
        full = f"{module}.{name}"
        if is_hostile(module, name):
            raise self.hostile(f"tries to call {full!r}")
        return Opaque(full)

    def hostile(self, what: str) -> InputError:
        return InputError(
            f"{self.path} {what} when opened, which a checkpoint never needs: do not open this file with PyTorch, "
            "and get the checkpoint from a source you trust"
        )

    def call(self, function: Any, args: Any) -> Any:
        if not isinstance(function, Opaque) or function.args is not None:
            raise TypeError(f"{type(function).__name__} called")
        if type(args) is not tuple:
            raise TypeError("arguments are no tuple")
        self.spend(len(args))
        handler = _CALLS.get(function.name)
        return handler(self, *args) if handler else Opaque(function.name, args)

    # Opcodes that move values.

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def push_plain(self, value: Any) -> None:
        if type(value) is int and value.bit_length() > MAX_INT_BITS:
            raise ValueError(f"an integer of {value.bit_length()} bits")
        self.stack.append(bytes(value) if type(value) is bytearray else value)

    def mark(self, _) -> None:
        if len(self.outer) >= MAX_MARKS:
            raise ValueError(f"more than {MAX_MARKS} nested marks")
        self.outer.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list:
        items, self.stack = self.stack, self.outer.pop()
        return items

    def pop(self, _) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def put(self, key: int | None) -> None:
        key = len(self.memo) if key is None else key
        if not 0 <= key < 2**32:
            raise ValueError("memo index out of range")
        value = self.stack[-1]
        if isinstance(value, _ArrayStub):
            value.memo_keys.append(key)
        self.memo[key] = value

    def take(self, count: int) -> tuple:
        if len(self.stack) < count:
            raise IndexError("stack is empty")
        items = tuple(self.stack[-count:])
        del self.stack[-count:]
        return items

    def append_all(self, items: list) -> None:
        target = self.stack[-1]
        if isinstance(target, Opaque) and target.args is not None:
            target = target.sequence
        if type(target) is not list:
            raise TypeError(f"items appended to {type(target).__name__}")
        target.extend(items)

    def set_items(self, items: list) -> None:
        target = self.stack[-1]
        if isinstance(target, Opaque) and target.args is not None:
            target = target.mapping
        if type(target) is not dict or len(items) % 2:
            raise TypeError(f"{len(items)} keys and values set on {type(target).__name__}")
        self.fill(target, zip(items[::2], items[1::2], strict=True))

    def fill(self, target: dict, pairs: Any) -> dict:
        for key, value in pairs:
            _check_key(key)
            target[key] = value
        return target

    def make_set(self, items: list) -> Opaque:
        out = Opaque("builtins.set", ())
        out.sequence = items
        return out

    # Opcodes that would run something.

    def op_global(self, arg: str) -> None:
        module, _, name = arg.partition(" ")
        self.push(self.reference(module, name))

    def op_stack_global(self, _) -> None:
        self.push(self.reference(*self.take(2)))

    def op_reduce(self, _) -> None:
        self.push(self.call(*self.take(2)))

    def op_newobj_ex(self, _) -> None:
        kind, args, kwargs = self.take(3)
        if type(kwargs) is not dict:
            raise TypeError("keyword arguments are no dict")
        self.spend(len(args))
        self.push(self.call(kind, (*args, kwargs) if kwargs else args))

    def op_inst(self, arg: str) -> None:
        module, _, name = arg.partition(" ")
        self.push_call(self.reference(module, name), self.pop_mark())

    def op_obj(self, _) -> None:
        kind, *args = self.pop_mark()
        self.push_call(kind, args)

    def push_call(self, kind: Any, args: list) -> None:
        self.push(self.call(kind, tuple(args)))

    def op_ext(self, code: int) -> None:
        raise self.hostile(f"asks for the registered extension {code}")

    def op_build(self, _) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, (dict, TensorRef)):
            return  # attributes of a state dict (`_metadata`) or of a parameter
        if not isinstance(target, Opaque):
            raise TypeError(f"state restored into {type(target).__name__}")
        if target.args is None:
            raise self.hostile(f"tries to change {target.name!r}")
        for part in state[:2] if type(state) is tuple else (state,):
            if type(part) is dict and any(hook in part for hook in _HOOKS):
                raise self.hostile(f"tries to replace methods of {target.name!r}")
        if isinstance(target, _ArrayStub):
            self.finish_array(target, state)
        else:
            target.state = state

    def op_persistent(self, _) -> None:
        reference = self.stack.pop()
        if type(reference) is not tuple or not 2 <= len(reference) <= 6:
            raise TypeError("a reference that is no short tuple")
        kind, *rest = reference
        if kind == "module":  # a class together with its source text
            self.push(rest[0])
            return
        if kind != "storage" or self.load_storage is None or len(rest) < 4:
            raise ValueError("unknown kind of reference")
        storage_type, key, _, numel = rest[:4]
        if type(key) is not str or type(numel) is not int or not 0 <= numel < 2**62:
            raise ValueError("a storage without a key and a size")
        base = self.load_storage(_storage_dtype(storage_type), key, numel)
        if len(rest) == 5 and rest[4] is not None:  # a storage that is a part of another
            _, offset, count = rest[4]
            base = base.view(None, (count,), (1,), offset)
        self.push(base)

    def refused(self, arg: Any) -> None:
        raise ValueError("an opcode that no checkpoint uses")

    # Calls with a meaning here.

    def call_tensor(self, base: Any, offset: int, shape: Any, strides: Any, *rest: Any) -> Any:
        return self.tensor(base, None, offset, shape, strides, rest[2:])

    def call_tensor_v3(self, base: Any, offset: int, shape: Any, strides: Any, grad, hooks, dtype, *rest: Any) -> Any:
        return self.tensor(base, _torch_dtype(dtype), offset, shape, strides, rest)

    def tensor(self, base: Any, dtype, offset: int, shape: Any, strides: Any, metadata: tuple) -> Any:
        if not isinstance(base, TensorRef):
            raise TypeError(f"a tensor over a {type(base).__name__}")
        if metadata and metadata[0]:  # lazily conjugated or negated: the stored numbers are not the values
            return Opaque("torch.Tensor", metadata)
        return base.view(dtype, shape, strides, offset)

    def call_parameter(self, data: Any, *_: Any) -> Any:
        return data

    def call_from_type(self, function: Any, _kind: Any, args: Any, *_: Any) -> Any:
        return self.call(function, args)

    def call_dict(self, *args: Any) -> dict:
        """OrderedDict and its like; Python 2 gives the items as a list of pairs."""
        if not args:
            return {}
        pairs = args[0].items() if type(args[0]) is dict else args[0]
        self.spend(len(pairs))
        return self.fill({}, pairs)

    def call_defaultdict(self, *args: Any) -> dict:
        return self.call_dict(*args[1:])

    def call_size(self, sizes: Any = ()) -> tuple:
        self.spend(len(sizes))
        return tuple(sizes)

    def call_encode(self, text: str, encoding: str = "utf-8", *_: Any) -> bytes:
        """How protocols below 3 spell bytes."""
        if encoding not in ("latin1", "latin-1", "utf-8"):
            raise ValueError("bytes in an unknown encoding")
        self.spend(len(text) // 64)
        return text.encode(encoding)

    def call_bytes(self, *args: Any) -> Any:
        return Opaque("builtins.bytes", args) if args else b""

    def call_reconstructor(self, kind: Any, _base: Any, state: Any) -> Any:
        return self.call(kind, () if state is None else (state,))

    def call_newobj(self, kind: Any, *args: Any) -> Any:
        return self.call(kind, args)

    def call_numpy_dtype(self, code: Any, *_: Any) -> Opaque:
        return Opaque("numpy.dtype", (code,))

    def call_numpy_scalar(self, dtype: Any, raw: Any = None) -> Any:
        plain, raw = _numpy_dtype(dtype), self.raw_bytes(raw)
        if plain is None or raw is None:
            return Opaque("numpy.generic", (dtype, raw))
        if len(raw) != plain.itemsize:
            raise ValueError(f"a number of {plain.itemsize} bytes in {len(raw)}")
        return np.frombuffer(raw, plain)[0].item()

    def call_numpy_array(self, *_: Any) -> _ArrayStub:
        return _ArrayStub()

    def finish_array(self, stub: _ArrayStub, state: Any) -> None:
        """Put the tensor in the place of its stand-in, which the memo already holds."""
        _, shape, dtype, fortran, raw = state
        stub.state = state
        tensor = self.array(raw, dtype, shape, fortran)
        if tensor is None:
            return
        self.stack[-1] = tensor
        for key in stub.memo_keys:
            if self.memo[key] is stub:
                self.memo[key] = tensor
        stub.memo_keys.clear()

    def call_numpy_buffer(self, raw: Any, dtype: Any, shape: Any, order: Any, *rest: Any) -> Any:
        """How protocol 5 spells arrays."""
        tensor = self.array(raw, dtype, shape, order == "F") if order in ("C", "F") else None
        return Opaque("numpy.ndarray", (raw, dtype, shape, order, *rest)) if tensor is None else tensor

    def array(self, raw: Any, dtype: Any, shape: Any, fortran: Any) -> TensorRef | None:
        """A tensor over bytes of the pickle; None for arrays of text or objects."""
        plain, raw = _numpy_dtype(dtype), self.raw_bytes(raw)
        if plain is None or raw is None:
            return None
        storage = BytesStorage(raw, big_endian=plain.byteorder == ">")
        return TensorRef(storage, plain.newbyteorder("="), shape, _fortran_strides(shape) if fortran else None)

    def raw_bytes(self, raw: Any) -> bytes | None:
        if type(raw) is str:  # Python 2 wrote bytes as text
            return self.call_encode(raw, "latin1")
        return raw if type(raw) is bytes else None


def is_hostile(module: str, name: str) -> bool:
    """Whether "module.name" only serves to run code (see the module's docstring)."""
    full = f"{module}.{name}"
    if full in _HARMLESS:
        return False
    if any(full == prefix or full.startswith(prefix + ".") for prefix in _HOSTILE_PREFIXES):
        return True
    # "torch" + "os.system" reaches os through an attribute.
    return full.split(".")[0] in _HOSTILE_ROOTS or not _HOSTILE_ROOTS.isdisjoint(name.split(".")[:-1])


def _children(node: Any) -> list | tuple:
    if isinstance(node, dict):
        return (*node.keys(), *node.values())
    if isinstance(node, Opaque):
        return (node.args, node.state, node.mapping, node.sequence)
    return node if isinstance(node, (list, tuple)) else ()


_CONTAINERS = (dict, list, tuple, Opaque)


def _check_key(key: Any) -> None:
    """Refuse keys whose hashing or comparing could be made slow or deep."""
    if type(key) is tuple:
        if len(key) > MAX_KEY_ITEMS or any(type(k) is tuple for k in key):
            raise ValueError("a key that is a long or nested tuple")
        for item in key:
            _check_key(item)
    elif type(key) is int and abs(key) >= _HASH_PRIME:
        raise ValueError("an integer key out of range")
    elif not isinstance(key, (str, bytes, int, float, Opaque, TensorRef)) and key is not None:
        raise TypeError(f"a key of kind {type(key).__name__}")


def _storage_dtype(kind: Any) -> np.dtype:
    module, _, name = kind.name.rpartition(".")
    if name not in _STORAGES or not _STORAGE_MODULES.fullmatch(module):
        raise ValueError(f"unknown storage class {kind.name!r}")
    return TORCH_DTYPES[_STORAGES[name]]


def _torch_dtype(kind: Any) -> np.dtype:
    module, _, name = kind.name.rpartition(".")
    if module != "torch" or name not in TORCH_DTYPES:
        raise ValueError(f"unknown dtype {kind.name!r}")
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


_PUSH = _words(
    """
    INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING BINBYTES BINBYTES8
    SHORT_BINBYTES BYTEARRAY8 UNICODE BINUNICODE BINUNICODE8 SHORT_BINUNICODE
    """
)

_OPCODES: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda m, _: None,
    "FRAME": lambda m, _: None,
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "EMPTY_SET": lambda m, _: m.push(m.make_set([])),
    "FROZENSET": lambda m, _: m.push(m.make_set(m.pop_mark())),
    "LIST": lambda m, _: m.push(m.pop_mark()),
    "TUPLE": lambda m, _: m.push(tuple(m.pop_mark())),
    "TUPLE1": lambda m, _: m.push(m.take(1)),
    "TUPLE2": lambda m, _: m.push(m.take(2)),
    "TUPLE3": lambda m, _: m.push(m.take(3)),
    "DICT": lambda m, _: (items := m.pop_mark(), m.push({}), m.set_items(items)),
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": lambda m, _: m.pop_mark(),
    "DUP": lambda m, _: m.push(m.stack[-1]),
    "GET": lambda m, key: m.push(m.memo[key]),
    "BINGET": lambda m, key: m.push(m.memo[key]),
    "LONG_BINGET": lambda m, key: m.push(m.memo[key]),
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.put,
    "APPEND": lambda m, _: m.append_all([m.stack.pop()]),
    "APPENDS": lambda m, _: m.append_all(m.pop_mark()),
    "ADDITEMS": lambda m, _: m.append_all(m.pop_mark()),
    "SETITEM": lambda m, _: m.set_items(list(m.take(2))),
    "SETITEMS": lambda m, _: m.set_items(m.pop_mark()),
    "GLOBAL": _Machine.op_global,
    "STACK_GLOBAL": _Machine.op_stack_global,
    "REDUCE": _Machine.op_reduce,
    "NEWOBJ": _Machine.op_reduce,
    "NEWOBJ_EX": _Machine.op_newobj_ex,
    "INST": _Machine.op_inst,
    "OBJ": _Machine.op_obj,
    "BUILD": _Machine.op_build,
    "BINPERSID": _Machine.op_persistent,
    "PERSID": _Machine.refused,
    "EXT1": _Machine.op_ext,
    "EXT2": _Machine.op_ext,
    "EXT4": _Machine.op_ext,
    "NEXT_BUFFER": _Machine.refused,
    "READONLY_BUFFER": _Machine.refused,
}

_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _Machine.call_dict,
    "collections.Counter": _Machine.call_dict,
    "collections.defaultdict": _Machine.call_defaultdict,
    "torch._utils._rebuild_tensor": _Machine.call_tensor,
    "torch._utils._rebuild_tensor_v2": _Machine.call_tensor,
    "torch._utils._rebuild_tensor_v3": _Machine.call_tensor_v3,
    "torch._utils._rebuild_parameter": _Machine.call_parameter,
    "torch._utils._rebuild_parameter_with_state": _Machine.call_parameter,
    "torch._tensor._rebuild_from_type": _Machine.call_from_type,
    "torch._tensor._rebuild_from_type_v2": _Machine.call_from_type,
    "torch.Size": _Machine.call_size,
    "numpy.dtype": _Machine.call_numpy_dtype,
    "numpy.core.multiarray.scalar": _Machine.call_numpy_scalar,
    "numpy.core.multiarray._reconstruct": _Machine.call_numpy_array,
    "numpy.core.numeric._frombuffer": _Machine.call_numpy_buffer,
    "_codecs.encode": _Machine.call_encode,
    "builtins.bytes": _Machine.call_bytes,
    "copyreg._reconstructor": _Machine.call_reconstructor,
    "copyreg.__newobj__": _Machine.call_newobj,
}
