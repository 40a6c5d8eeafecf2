"""What the names in a pickle mean: which only serve to run code, and which are old spellings.

A name that is in neither list is an unknown class: it becomes an inert stand-in like any other. What only computes
(`len`, `operator.add`) is harmless too, because nothing here ever calls it.
"""

from __future__ import annotations

import builtins
import functools


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
        *(f"builtins.{t}" for t in words("bool bytearray bytes complex dict float frozenset int list object range")),
        *(f"builtins.{t}" for t in words("set slice str tuple Ellipsis NotImplemented property super")),
        *(f"builtins.{t}" for t in words("classmethod enumerate iter memoryview reversed staticmethod zip")),
        *(f"builtins.{t}" for t in words("abs all any ascii bin callable chr divmod format hash hex id isinstance")),
        *(f"builtins.{t}" for t in words("issubclass len max min next oct ord pow print repr round sorted sum")),
        *(
            f"builtins.{t}"
            for t, kind in vars(builtins).items()
            if isinstance(kind, type) and issubclass(kind, Exception)
        ),
        *(
            f"operator.{t}"
            for t in words("add and_ concat contains eq floordiv ge gt index inv invert itemgetter le lt")
        ),
        *(f"operator.{t}" for t in words("lshift matmul mod mul ne neg not_ or_ pos pow rshift sub truediv truth xor")),
        *(f"{module}.{kind}" for module in ("io", "_io") for kind in ("BytesIO", "StringIO")),
        "_codecs.encode",
        "functools.partial",
        "functools.partialmethod",
        "types.GenericAlias",
        "types.SimpleNamespace",
        "uuid.SafeUUID",
        "uuid.UUID",
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
    # "torch" + "os.system" reaches os through an attribute.
    return full.split(".")[0] in _HOSTILE_ROOTS or not _HOSTILE_ROOTS.isdisjoint(name.split(".")[:-1])
