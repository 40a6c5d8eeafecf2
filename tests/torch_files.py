"""Files in the two formats of `torch.save`, written without torch, sound ones and broken ones.

    save_zip(path, {"model": OrderedDict(weight=np.ones((2, 3), np.float32)), "epoch": 3})
    save_legacy(path, {"args": Object("argparse.Namespace", state={"lr": 1e-4})})

numpy arrays become tensors. An array that is a view (sliced, transposed, broadcast) becomes a view of the storage of
the array it was made from, so two views of one array share a storage, as in torch.
"""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
LEGACY_VERSION = 1001

# dtypes that `save_zip` and `save_legacy` can write, and the class of their storage.
DTYPES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
    "complex64": "ComplexFloatStorage",
}


@dataclasses.dataclass(frozen=True)
class Name:
    """A reference to a class or function, "module.name"."""

    name: str


@dataclasses.dataclass(frozen=True)
class Object:
    """A pickled instance of class `name`: `name(*args)`, then its items, then its state."""

    name: str
    args: tuple = ()
    state: Any = None
    items: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Raw:
    """Pickle opcodes put in as they are; they must leave one value on the stack."""

    code: bytes


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A tensor written as a `torch.nn.Parameter`."""

    array: np.ndarray


class _Writer:
    """Turns content into the opcodes of protocol 2, and gathers the storages."""

    def __init__(self, *, legacy: bool):
        self.legacy = legacy
        self.storages: dict[int, tuple[str, np.ndarray]] = {}

    def pickle(self, content: Any) -> bytes:
        return b"\x80\x02" + self.value(content) + b"."

    def value(self, value: Any) -> bytes:
        if isinstance(value, Raw):
            return value.code
        if isinstance(value, Parameter):
            args = (Raw(self.tensor(value.array)), True, OrderedDict())
            return self.value(Object("torch._utils._rebuild_parameter", args))
        if isinstance(value, np.ndarray):
            return self.tensor(value)
        if isinstance(value, Name):
            module, _, name = value.name.rpartition(".")
            return f"c{module}\n{name}\n".encode()
        if isinstance(value, Object):
            return self.object(value)
        if isinstance(value, OrderedDict):
            return self.object(Object("collections.OrderedDict", items=value))
        if isinstance(value, dict):
            return b"}" + self.items(value)
        if isinstance(value, list):
            return b"](" + b"".join(map(self.value, value)) + b"e"
        if isinstance(value, tuple):
            return b"(" + b"".join(map(self.value, value)) + b"t"
        if value is None or isinstance(value, (bool, int, float, str, bytes)):
            return _plain(value)
        raise TypeError(f"cannot write a {type(value).__name__}")

    def object(self, value: Object) -> bytes:
        out = self.value(Name(value.name)) + self.value(value.args) + b"R"
        if value.items:
            out += self.items(value.items)
        return out if value.state is None else out + self.value(value.state) + b"b"

    def items(self, items: dict) -> bytes:
        return b"(" + b"".join(self.value(k) + self.value(v) for k, v in items.items()) + b"u"

    def tensor(self, array: np.ndarray) -> bytes:
        owner = array
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        key, _ = self.storages.setdefault(id(owner), (self.key(), owner))
        offset = (array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]) // array.itemsize
        strides = tuple(s // array.itemsize for s in array.strides)
        if min(strides, default=0) < 0:
            raise ValueError("torch has no negative strides")
        kind = Name(f"torch.{DTYPES[owner.dtype.name]}")
        reference = ("storage", kind, key, "cpu", owner.size, *((None,) if self.legacy else ()))
        args = (Raw(self.value(reference) + b"Q"), offset, array.shape, strides, False, OrderedDict())
        return self.value(Object("torch._utils._rebuild_tensor_v2", args))

    def key(self) -> str:
        return str(94_000_000 + 64 * len(self.storages) if self.legacy else len(self.storages))


def storage_bytes(array: np.ndarray, byteorder: str = "little") -> bytes:
    """The memory of `array`, which must own all of it."""
    flat = array.ravel(order="K")
    return (flat.byteswap() if byteorder == "big" else flat).tobytes()


def save_zip(
    path: str | os.PathLike,
    content: Any = None,
    *,
    pickle_bytes: bytes | None = None,
    byteorder: str = "little",
    root: str = "archive",
    compression: int = zipfile.ZIP_STORED,
    replace: dict[str, bytes | None] | None = None,
    extra: tuple[tuple[str, bytes], ...] = (),
) -> Path:
    """Write `content` as `torch.save` does since 1.6.

    Args:
        pickle_bytes: instead of the pickle of `content`.
        byteorder: "little" or "big", for the numbers and the entry that says so.
        replace: entry name below the root ("data/0") -> its bytes, or None to leave the entry out.
        extra: more (full name, bytes) entries; a name may be there already.
    """
    writer = _Writer(legacy=False)
    described = writer.pickle(content)
    entries: dict[str, bytes | None] = {
        "data.pkl": described if pickle_bytes is None else pickle_bytes,
        "byteorder": byteorder.encode(),
        **{f"data/{key}": storage_bytes(owner, byteorder) for key, owner in writer.storages.values()},
        "version": b"3\n",
        **(replace or {}),
    }
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            if data is not None:
                info = zipfile.ZipInfo(f"{root}/{name}")
                info.compress_type = compression
                info.extra = b"FB\x05\x00ZZZZZ"  # torch aligns storages with such padding
                archive.writestr(info, data)
        for name, data in extra:
            archive.writestr(zipfile.ZipInfo(name), data)
    return Path(path)


def save_legacy(
    path: str | os.PathLike, content: Any = None, *, pickle_bytes: bytes | None = None, version: int = LEGACY_VERSION
) -> Path:
    """Write `content` as `torch.save` did before 1.6. `pickle_bytes` goes in place of the pickle of `content`."""
    writer = _Writer(legacy=True)
    described = writer.pickle(content)
    machine = {"protocol_version": version, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    out = io.BytesIO()
    for value in (MAGIC_NUMBER, version, machine):
        out.write(pickle.dumps(value, 2))
    out.write(described if pickle_bytes is None else pickle_bytes)
    storages = sorted(writer.storages.values(), key=lambda item: item[0])
    out.write(pickle.dumps([key for key, _ in storages], 2))
    for _, owner in storages:
        out.write(struct.pack("<q", owner.size) + storage_bytes(owner))
    Path(path).write_bytes(out.getvalue())
    return Path(path)


def tensor_code(storage: tuple, offset: Any, shape: Any, strides: Any, function: str = "_rebuild_tensor_v2") -> Raw:
    """Opcodes of a tensor over any storage reference, sound or not: ("storage", Name(...), key, "cpu", numel)."""
    writer = _Writer(legacy=False)
    args = (Raw(writer.value(storage) + b"Q"), offset, shape, strides, False, OrderedDict())
    return Raw(writer.value(Object(f"torch._utils.{function}", args)))


def pickle_of(content: Any) -> bytes:
    """The protocol 2 pickle of `content`, without tensors."""
    return _Writer(legacy=False).pickle(content)


def hostile_pickles(sentinel: str | os.PathLike) -> dict[str, bytes]:
    """Pickles that try to run something when opened, by kind of attack.

    Where the attack needs no further help it would create the file `sentinel`.
    """
    target = os.fspath(sentinel)
    touch, write = f"touch {target}", f"open({target!r}, 'w').close()"

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()

    def calls(name: str, *args: Any, **kwargs: Any) -> bytes:
        return pickle_of({"model": Object(name, args, **kwargs)})

    def two(opcodes: bytes) -> bytes:
        return b"\x80\x02" + opcodes + b"."

    def four(opcodes: bytes) -> bytes:
        return b"\x80\x04" + opcodes + b"."

    names = Object("yacs.config.CfgNode")
    return {
        "posix_system": calls("posix.system", touch),
        "os_system": calls("os.system", touch),
        "nt_system": calls("nt.system", touch),
        "eval": calls("builtins.eval", write),
        "exec": calls("builtins.exec", write),
        "python2_eval": calls("__builtin__.eval", write),
        "open": calls("builtins.open", target, "w"),
        "import": calls("builtins.__import__", "os"),
        "getattr": calls("builtins.getattr", Name("collections.OrderedDict"), "fromkeys"),
        "subprocess": calls("subprocess.Popen", ["touch", target]),
        "runpy": calls("runpy.run_path", target),
        "importlib": calls("importlib.import_module", "antigravity"),
        "pickle_loads": calls("pickle.loads", pickle.dumps(target)),
        "torch_hub": calls("torch.hub.load", "user/repo", "model"),
        "torch_load": calls("torch.load", target),
        "torch_jit": calls("torch.jit._serialization.load", target),
        "storage_from_bytes": calls("torch.storage._load_from_bytes", b"x"),
        "operator": calls("operator.call", Name("os.system"), touch),
        "partial": calls("functools.partial", Name("os.system"), touch),
        "function_type": calls("types.FunctionType", None),
        "numpy_runstring": calls("numpy.testing._private.utils.runstring", write, {}),
        "ctypes": calls("ctypes.CDLL", target),
        "dotted_name": four(text("torch") + text("os.system") + b"\x93" + text(touch) + b"\x85R"),
        "stack_global": four(text("posix") + text("system") + b"\x93" + text(touch) + b"\x85R"),
        "protocol_0": f"cposix\nsystem\n(S'{touch}'\ntR.".encode(),
        "inst": f"(S'{touch}'\niposix\nsystem\n.".encode(),
        "obj": two(b"(cposix\nsystem\n" + text(touch) + b"o"),
        "newobj": two(b"csubprocess\nPopen\n(](" + text("touch") + text(target) + b"et\x81"),
        "newobj_ex": four(text("subprocess") + text("Popen") + b"\x93]" + text("touch") + b"a\x85}\x92"),
        "ext1": two(b"\x82\x01"),
        "ext4": two(b"\x84\x01\x00\x00\x00"),
        "build_setstate": pickle_of(dataclasses.replace(names, state={"__setstate__": Name("mypackage.run")})),
        "build_slot_state": pickle_of(dataclasses.replace(names, state=(None, {"__class__": Name("mypackage.X")}))),
        "build_on_class": pickle_of(Raw(b"cyacs.config\nCfgNode\n}" + text("x") + b"K\x01sb")),
        "as_item": pickle_of({"model": [Object("collections.defaultdict", (Name("os.abort"),))]}),
        "popped": two(b"cposix\nsystem\n" + text(touch) + b"\x85R0}"),
        "as_persistent_id": two(b"cposix\nsystem\n" + text(touch) + b"\x85RQ"),
        "as_key": two(b"}cposix\nsystem\n" + text(touch) + b"\x85RNs"),
    }


def _plain(value: Any) -> bytes:
    """One scalar, without the header and the end of its pickle."""
    if isinstance(value, bytes):
        text = value.decode("latin-1").encode()
        return b"c_codecs\nencode\nX" + struct.pack("<I", len(text)) + text + b"X\x06\x00\x00\x00latin1\x86R"
    if isinstance(value, str):
        text = value.encode()
        return b"X" + struct.pack("<I", len(text)) + text
    return pickle.dumps(value, 2)[2:-1]
