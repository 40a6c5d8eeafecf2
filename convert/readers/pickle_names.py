"""What the names in a pickle mean: which only serve to run code, and which are old spellings.

A name that is in neither list is an unknown class: it becomes an inert stand-in like any other. What only computes
(`len`, `operator.add`) is harmless too, because nothing here ever calls it.
"""

from __future__ import annotations

import builtins
import functools
import sys


def words(text: str) -> frozenset[str]:
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
# The same as attributes of other modules, which a name with dots reaches.
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
# What holds data or only computes, in modules that also hold what runs code.
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
# Harmless or not by what they are called with, which `pickle_calls` judges.
JUDGED = frozenset(["builtins.getattr", "builtins.type", "functools.reduce", "operator.getitem"])
# Keys of a restored `__dict__` that would change what the object does rather than what it holds.
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
    """Whether "module.name" only serves to run code rather than to hold data."""
    full = f"{module}.{name}"
    if full in _HARMLESS or full in JUDGED:
        return False
    if full.startswith(_HOSTILE_PREFIXES) and any(f"{full}.".startswith(f"{p}.") for p in _HOSTILE_PREFIXES):
        return True
    # "torch" + "os.system" reaches os through an attribute, and "enum" + "bltns" is the module of `eval`.
    parts = [part.lstrip("_") for part in name.split(".")]
    reached = parts if module.split(".")[0] in sys.stdlib_module_names else parts[:-1]
    return full.split(".")[0] in _HOSTILE_ROOTS or not _MODULES.isdisjoint(reached)
