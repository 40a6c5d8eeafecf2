"""What the names in a pickle mean: which only serve to run code, and which are old spellings.

A name that is in neither list is an unknown class: it becomes an inert stand-in like any other.
"""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


RENAMED = {
    "copy_reg": "copyreg",
    "__builtin__": "builtins",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
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
        *(f"builtins.{t}" for t in words("set slice str tuple Ellipsis NotImplemented")),
        *(f"{module}.{kind}" for module in ("io", "_io") for kind in ("BytesIO", "StringIO")),
        "_codecs.encode",
        "types.SimpleNamespace",
        "uuid.UUID",
    ]
)
# Keys of a restored `__dict__` that would change what the object does rather than what it holds.
HOOKS = words(
    "__class__ __call__ __getattr__ __getattribute__ __getstate__ __init__ __new__ __reduce__ __reduce_ex__ "
    "__setattr__ __setstate__"
)


def is_hostile(module: str, name: str) -> bool:
    """Whether "module.name" only serves to run code rather than to hold data."""
    full = f"{module}.{name}"
    if full in _HARMLESS:
        return False
    if any(full == prefix or full.startswith(prefix + ".") for prefix in _HOSTILE_PREFIXES):
        return True
    # "torch" + "os.system" reaches os through an attribute.
    return full.split(".")[0] in _HOSTILE_ROOTS or not _HOSTILE_ROOTS.isdisjoint(name.split(".")[:-1])
