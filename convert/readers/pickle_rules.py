"""Rules for pickles: what one may cost and hold, and which names only serve to run code.

A name that is in none of the lists is an unknown class: it becomes an inert stand-in like any other. What only computes
(`len`, `operator.add`) is harmless too, because nothing here ever calls it.
"""

from __future__ import annotations

import builtins
import functools
import sys
from collections.abc import Iterable
from typing import Any, BinaryIO

from stvg_jax.convert.readers.tensors import Opaque, TensorRef

MAX_PICKLE_BYTES = 2**26  # a checkpoint with 4,000 tensors has a pickle of about 1 MB
MAX_WORK = 2_000_000  # opcodes, plus elements copied; the same checkpoint takes about 200,000
_FREE_WORK = 100_000  # allowed for a file of any size
MAX_MARKS = 1_000
MAX_DEPTH = 500
MAX_NAME = 500
MAX_INT_BITS = 4_096
# Python hashes integers modulo this prime: larger keys could all be made to collide.
_HASH_PRIME = 2**61 - 1
_CONTAINERS = (dict, list, tuple, Opaque)


class BoundedStream:
    """A binary stream that gives at most `limit` bytes and allocates no more than it holds."""

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
    """Steps that a file of `size` bytes may take; real files need at most one for two bytes."""
    return min(MAX_WORK, _FREE_WORK + size // 2)


def fill(target: dict, pairs: Iterable) -> dict:
    """Adds `pairs` to `target`, checks every key, and returns `target`.

    A tuple as a key becomes an `Opaque`, which compares by identity, because thousands of tuples with equal hashes can
    be made.
    """
    for key, value in pairs:
        target[Opaque("builtins.tuple", key) if type(key) is tuple else _checked_key(key)] = value
    return target


def is_deeper(root: Any, limit: int) -> bool:
    """True if `root` nests more than `limit` deep, which may overflow the stack of a recursive function."""
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
    """The key; raises ValueError or TypeError if hashing or comparing it could be made slow."""
    if type(key) is int and abs(key) >= _HASH_PRIME:
        raise ValueError("an integer key out of range")
    if not isinstance(key, (str, bytes, int, float, Opaque, TensorRef)) and key is not None:
        raise TypeError(f"a key of kind {type(key).__name__}")
    return key


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


_RENAMED_MODULES = {
    "copy_reg": "copyreg",
    "__builtin__": "builtins",
    "_functools": "functools",
    "_operator": "operator",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
}
# Python 2's names, which Python 3 also writes in protocols 0 to 2.
_RENAMED = {
    ("builtins", "basestring"): ("builtins", "str"),
    ("builtins", "intern"): ("builtins", "str"),
    ("builtins", "long"): ("builtins", "int"),
    ("builtins", "reduce"): ("functools", "reduce"),
    ("builtins", "unichr"): ("builtins", "chr"),
    ("builtins", "unicode"): ("builtins", "str"),
    ("builtins", "xrange"): ("builtins", "range"),
}

_HOSTILE_ROOTS = words(
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
# The same modules as attributes of others, which a name with dots reaches.
_MODULES = frozenset(root.lstrip("_") for root in _HOSTILE_ROOTS) | {"bltns"}
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
# Names that hold data or only compute, in modules with names that run code.
_HARMLESS_IN = {
    "_codecs": "encode",
    "_io": "BytesIO StringIO",
    "_thread": "LockType RLock _local allocate_lock lock",
    "builtins": """
        Ellipsis NoneType NotImplemented NotImplementedType abs aiter all anext any ascii bin bool bytearray bytes
        callable chr classmethod complex dict dir divmod ellipsis enumerate filter float format frozenset hasattr hash
        hex id int isinstance issubclass iter len list map mappingproxy max memoryview min next object oct ord pow
        print property range repr reversed round set slice sorted staticmethod str sum super tuple zip
    """,
    "functools": """
        Placeholder WRAPPER_ASSIGNMENTS WRAPPER_UPDATES _lru_cache_wrapper cache cached_property cmp_to_key lru_cache
        partial partialmethod singledispatch singledispatchmethod total_ordering update_wrapper wraps
    """,
    "http": "HTTPMethod HTTPStatus",
    "inspect": "Parameter Parameter.empty Signature Signature.empty _ParameterKind _empty",
    "io": "BytesIO StringIO",
    "operator": """
        abs add and_ attrgetter concat contains countOf eq floordiv ge gt index indexOf inv invert is_ is_not itemgetter
        le length_hint lshift lt matmul methodcaller mod mul ne neg not_ or_ pos pow rshift sub truediv truth xor
    """,
    "os": "stat_result terminal_size",
    "platform": "uname_result",
    "posix": "stat_result",
    "signal": "Handlers Signals",
    "threading": "Barrier BoundedSemaphore Condition Event Lock RLock Semaphore _RLock local",
    "types": """
        DynamicClassAttribute EllipsisType GenericAlias MappingProxyType NoneType NotImplementedType SimpleNamespace
        UnionType
    """,
    "uuid": """
        NAMESPACE_DNS NAMESPACE_OID NAMESPACE_URL NAMESPACE_X500 SafeUUID UUID uuid1 uuid3 uuid4 uuid5 uuid6 uuid7 uuid8
    """,
}
_ERRORS = (name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException))
_HARMLESS = frozenset(
    [
        *(f"{module}.{name}" for module, names in _HARMLESS_IN.items() for name in words(names)),
        *(f"builtins.{name}" for name in _ERRORS),
    ]
)
# Harmless or not depending on their arguments, which `pickle_calls` checks.
JUDGED = frozenset(["builtins.getattr", "builtins.type", "functools.reduce", "operator.getitem"])
# Keys of a restored `__dict__` that would change the behaviour of the object, not its data.
HOOKS = words(
    "__class__ __call__ __getattr__ __getattribute__ __getstate__ __init__ __new__ __reduce__ __reduce_ex__ "
    "__setattr__ __setstate__"
)


def modern(module: str, name: str) -> tuple[str, str]:
    """Module and name as Python 3 spells them."""
    module = _RENAMED_MODULES.get(module, module)
    return _RENAMED.get((module, name), (module, name))


@functools.lru_cache(maxsize=1_000)
def is_hostile(module: str, name: str) -> bool:
    """True if "module.name" only serves to run code rather than to hold data."""
    full = f"{module}.{name}"
    if full in _HARMLESS or full in JUDGED:
        return False
    if full.startswith(_HOSTILE_PREFIXES) and any(f"{full}.".startswith(f"{p}.") for p in _HOSTILE_PREFIXES):
        return True
    # "torch" + "os.system" reaches os through an attribute, and "enum" + "bltns" is the module of `eval`.
    parts = [part.lstrip("_") for part in name.split(".")]
    reached = parts if module.split(".")[0] in sys.stdlib_module_names else parts[:-1]
    return full.split(".")[0] in _HOSTILE_ROOTS or not _MODULES.isdisjoint(reached)
