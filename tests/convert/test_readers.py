import _thread
import argparse
import collections
import contextlib
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import http
import inspect
import itertools
import logging
import operator
import os
import pathlib
import pickle
import platform
import random
import re
import signal
import struct
import threading
import time
import tracemalloc
import types
import typing
import uuid
import zipfile
import zoneinfo
from collections import OrderedDict

import ml_collections
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from stvg_jax.convert.readers import Opaque, TensorRef, find_nodes, open_checkpoint, pickle_rules, sha256
from stvg_jax.convert.readers.pickle_rules import is_hostile, modern
from stvg_jax.core.errors import InputError
from tests.torch_files import (
    DTYPES,
    Name,
    Object,
    Parameter,
    Raw,
    hostile_pickles,
    pickle_of,
    save_legacy,
    save_zip,
    tensor_code,
)

SAVERS = {"torch-zip": save_zip, "torch-legacy": save_legacy}
both = pytest.mark.parametrize("container", SAVERS)


def weights(seed=0):
    rng = np.random.default_rng(seed)
    return OrderedDict(
        {
            "module.conv.weight": rng.standard_normal((4, 3, 2, 2)).astype(np.float32),
            "module.bn.num_batches_tracked": np.array(7, np.int64),
            "module.fc.bias": rng.standard_normal(5).astype(np.float32),
        }
    )


def same(found: TensorRef, expected: np.ndarray):
    array = found.read()
    assert (found.shape, found.dtype, found.nbytes) == (expected.shape, expected.dtype, expected.nbytes)
    assert (array.shape, array.dtype) == (expected.shape, expected.dtype)
    assert array.flags.c_contiguous and array.flags.writeable
    assert array.tobytes() == expected.tobytes()


def opened(path):
    """The tree and every tensor in it, read."""
    with open_checkpoint(path) as checkpoint:
        top = find_nodes(checkpoint.tree).get("")
        found = {} if top is None else top.own | top.below
        return checkpoint.tree, {name: ref.read() for name, ref in found.items()}


@both
def test_reads_a_training_checkpoint(tmp_path, container):
    model, ema = weights(0), weights(1)
    moments = {0: {"step": 3, "exp_avg": np.ones((2, 2), np.float32)}}
    content = {
        "model": model,
        "model_ema": ema,
        "optimizer": {"state": moments, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999), "params": [0, 1]}]},
        "epoch": 19,
        "best": 1.5,
        "note": "über",
        "none": None,
        "flag": True,
        "big": 2**70,
        "raw": b"\x00\xff",
    }
    path = SAVERS[container](tmp_path / "named.whatever", content)
    with open_checkpoint(str(path)) as checkpoint:
        assert checkpoint.container == container
        assert checkpoint.path == path
        found = find_nodes(checkpoint.tree)
        assert list(found) == ["", "model", "model_ema"]
        assert list(found["model"].own) == list(model)
        for name in model:
            same(found["model"].own[name], model[name])
            same(found["model_ema"].own[name], ema[name])
        same(checkpoint.tree["optimizer"]["state"][0]["exp_avg"], moments[0]["exp_avg"])
        for key in ("epoch", "best", "note", "none", "flag", "big", "raw"):
            assert checkpoint.tree[key] == content[key] and type(checkpoint.tree[key]) is type(content[key])
        assert checkpoint.tree["optimizer"]["param_groups"] == content["optimizer"]["param_groups"]


@both
@pytest.mark.parametrize("dtype", [*DTYPES])
def test_reads_every_dtype(tmp_path, container, dtype):
    array = (np.arange(24).reshape(2, 3, 4) % 2 if dtype == "bool" else np.arange(24).reshape(2, 3, 4) - 3).astype(
        dtype
    )
    path = SAVERS[container](tmp_path / "c.pth", {"a": array})
    with open_checkpoint(path) as checkpoint:
        same(checkpoint.tree["a"], array)


@both
def test_reads_views_of_shared_storages(tmp_path, container):
    base = np.arange(60, dtype=np.float32).copy()
    cube = base.reshape(3, 4, 5)
    row = np.arange(3, dtype=np.float32)
    views = {
        "whole": cube,
        "transposed": cube.transpose(2, 0, 1),
        "sliced": cube[1:, ::2, 1:4],
        "one": cube[2, 3, 4],
        "row": cube[1],
        "expanded": np.broadcast_to(row, (4, 3)),
        "scalar_expanded": np.broadcast_to(row[1:2], (2, 2)),
        "empty": np.zeros((0, 3), np.float32),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3).copy()),
    }
    views["one"] = cube[2, 3, 4:5].reshape(())
    path = SAVERS[container](tmp_path / "c.pth", views)
    with open_checkpoint(path) as checkpoint:
        for name, view in views.items():
            same(checkpoint.tree[name], np.ascontiguousarray(view).reshape(view.shape))
        assert checkpoint.tree["whole"].storage is checkpoint.tree["sliced"].storage
        first, second = checkpoint.tree["row"].read(), checkpoint.tree["row"].read()
        first[:] = -1
        assert second[0, 0] == 20


def test_reads_big_endian_zip(tmp_path):
    content = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "b": np.arange(4).astype(ml_dtypes.bfloat16),
        "c": np.array([1 + 2j], np.complex64),
        "d": np.array([True, False]),
    }
    path = save_zip(tmp_path / "c.pth", content, byteorder="big")
    with open_checkpoint(path) as checkpoint:
        for name, array in content.items():
            same(checkpoint.tree[name], np.ascontiguousarray(array))
    with pytest.raises(InputError, match="byte order"):
        open_checkpoint(save_zip(tmp_path / "d.pth", content, replace={"byteorder": b"middle"}))


@both
def test_objects_of_unknown_classes_are_inert(tmp_path, container):
    dtype = Object("numpy.dtype", ("f8", False, True), state=(3, "<", None, None, None, -1, -1, 0))
    content = {
        "cfg": Object("yacs.config.CfgNode", items={"LR": 1e-4}, state={"__immutable__": True}),
        "args": Object("argparse.Namespace", state={"lr": 1e-4, "func": Name("__main__.main")}),
        "score": Object("numpy._core.multiarray.scalar", (dtype, struct.pack("<d", 0.25))),
        "old_score": Object("numpy.core.multiarray.scalar", (dtype, struct.pack("<d", 0.5))),
        "array": Object(
            "numpy.core.multiarray._reconstruct",
            (Name("numpy.ndarray"), (0,), b"b"),
            state=(1, (3,), dtype, False, np.arange(3.0).tobytes()),
        ),
        "counts": Object("collections.defaultdict", (Name("builtins.int"),), items={"a": 1}),
        "python2": Object("collections.OrderedDict", ([["a", 1], ["b", 2]],)),
        "size": Object("torch.Size", ((2, 3),)),
        "device": Object("torch.device", ("cuda", 0)),
        "dtype": Name("torch.float16"),
        "path": Object("pathlib.PosixPath", ("a", "b")),
        "set": Object("builtins.set", ([1, 2],)),
        "member": Object("builtins.getattr", (Name("mypackage.Mode"), "TRAIN")),
        "old": Object("copy_reg._reconstructor", (Name("a.B"), Name("__builtin__.object"), None), state={"x": 1}),
        "parameter": Parameter(np.ones(3, np.float32)),
        "state_dict": Object("collections.OrderedDict", items={"w": np.ones(2, np.float32)}, state={"_metadata": {}}),
    }
    path = SAVERS[container](tmp_path / "c.pth", content)
    with open_checkpoint(path) as checkpoint:
        tree = checkpoint.tree
        assert (tree["cfg"].name, tree["cfg"].mapping) == ("yacs.config.CfgNode", {"LR": 1e-4})
        assert tree["args"].state["lr"] == 1e-4
        assert isinstance(tree["args"].state["func"], Opaque) and tree["args"].state["func"].args is None
        assert (tree["score"], tree["old_score"]) == (0.25, 0.5)
        same(tree["array"], np.arange(3.0))
        assert (tree["counts"], tree["python2"], tree["size"]) == ({"a": 1}, {"a": 1, "b": 2}, (2, 3))
        assert (tree["device"].name, tree["device"].args) == ("torch.device", ("cuda", 0))
        assert tree["dtype"].name == "torch.float16"
        assert tree["path"].args == ("a", "b")
        assert (tree["member"].name, tree["member"].args) == ("mypackage.Mode.TRAIN", ())
        assert (tree["old"].name, tree["old"].state) == ("a.B", {"x": 1})
        same(tree["parameter"], np.ones(3, np.float32))
        same(tree["state_dict"]["w"], np.ones(2, np.float32))


def test_reads_numpy_values_as_pickle_writes_them(tmp_path):
    # A plain pickle in torch's container is what torch.save makes of content without tensors.
    shared = np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3))
    content = {"a": shared, "again": shared, "n": np.float32(0.5), "flag": np.bool_(True), "text": np.array(["x"])}
    for protocol in range(6):
        path = save_zip(tmp_path / f"{protocol}.pth", pickle_bytes=pickle.dumps(content, protocol))
        with open_checkpoint(path) as checkpoint:
            tree = checkpoint.tree
            same(tree["a"], np.ascontiguousarray(shared.astype("<f4")))
            assert tree["again"] is tree["a"]
            assert (tree["n"], tree["flag"]) == (0.5, True)
            assert isinstance(tree["text"], Opaque)


class Colour(enum.Enum):
    RED = 1


class Option(enum.Flag):
    FAST = 1
    SAFE = 2


Point = collections.namedtuple("Point", "x y")

# Names that are modules or lead through modules.
DOTTED = (
    (b"enum", b"bltns.eval"),
    (b"collections", b"_sys.modules"),
    (b"pathlib", b"os"),
    (b"uuid", b"os.system"),
    (b"torch", b"os.system"),
    (b"functools", b"partial.func"),
)
HARMLESS = {
    "builtins": [range(3), slice(1, 2), len, max, print, {1, 2}, frozenset("a"), bytearray(b"x"), 1j, Ellipsis, int],
    "errors": [ValueError("x"), KeyError, OSError(2, "no such file")],
    "types": [type(None), typing.Any, typing.Dict[str, int], typing.Optional[int], int | None, list[int]],  # noqa: UP006,UP045
    "functools": [functools.partial(len), functools.partial(max, key=len), functools.lru_cache, functools.wraps],
    "functools_more": [functools.partial(functools.wraps, len), functools._lru_cache_wrapper, functools.cmp_to_key],
    "operator": [operator.itemgetter(1), operator.attrgetter("a.b"), operator.methodcaller("f", 1, a=2), operator.add],
    "iterators": [iter([1, 2]), zip([1], [2], strict=False), enumerate([1]), reversed([1]), itertools.count(3)],
    "iterators_more": [map(len, ["a"]), filter(None, [1]), map(operator.attrgetter("a"), [1])],
    "collections": [
        collections.defaultdict(int, a=1),
        collections.defaultdict(list),
        collections.defaultdict(functools.partial(collections.defaultdict, int)),
        collections.Counter("ab"),
        collections.deque([1], 3),
        collections.ChainMap({}),
        collections.OrderedDict(a=1),
    ],
    "times": [datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), datetime.timedelta(1), time.localtime(0)],
    "numbers": [decimal.Decimal("1.5"), fractions.Fraction(1, 3), uuid.UUID(int=1), 2**200],
    "uuid": [uuid.SafeUUID.safe, uuid.uuid4, collections.defaultdict(uuid.uuid4), uuid.NAMESPACE_DNS],
    "time_zones": [datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")), datetime.UTC, datetime.date],
    "decimals": [decimal.getcontext(), decimal.ROUND_UP, fractions.Fraction, decimal.Decimal("NaN")],
    "enums_of_python": [re.RegexFlag.IGNORECASE, http.HTTPStatus.OK, signal.Signals.SIGTERM, signal.SIG_DFL],
    "signatures": [inspect.signature(lambda a, b=1: 0), inspect.Parameter.empty],
    "paths": [pathlib.PurePosixPath("a/b"), pathlib.Path("a"), pathlib.PureWindowsPath("c:/a")],
    "locks": [_thread.RLock, _thread.allocate_lock, threading.Event, threading.local],
    "namespaces": [types.SimpleNamespace(a=types.SimpleNamespace()), os.stat("/"), platform.uname()],
    "failures": [SystemExit(1), KeyboardInterrupt(), GeneratorExit, BaseException("x")],
    "user_dicts": [collections.UserDict(a=1), collections.UserList([1]), Point(1, 2)],
    "numpy_types": [np.float64, np.dtype("M8[s]"), np.dtype([("a", "f4")]), np.datetime64("2020"), np.complex64(1j)],
    "numpy_functions": [np.add, np.mean, np.random.RandomState(0), np.float16(1), np.str_("x"), np.void(b"abcd")],
    "objects": [argparse.Namespace(lr=1), types.SimpleNamespace(a=1), re.compile("a"), random.Random(0)],
    "enums": [Colour.RED, Option.FAST | Option.SAFE],
    "numpy": [np.float32(1), np.int64(2), np.bool_(True), np.dtype("f4"), np.array([1, 2]), np.array(["a", None])],
    "numpy_more": [np.array(["2020-01-01"], "M8[D]"), np.random.default_rng(0).bit_generator, np.ma.array([1, 2])],
    "configurations": [ml_collections.ConfigDict({"a": {"b": 1}}), logging.getLogger("a")],
}


@both
@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", HARMLESS)
def test_what_only_holds_data_or_computes_is_inert(tmp_path, container, kind, protocol):
    values = HARMLESS[kind]
    path = SAVERS[container](tmp_path / "c.pth", pickle_bytes=pickle.dumps({"args": values, "after": 3}, protocol))
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.tree["after"] == 3
        assert len(checkpoint.tree["args"]) == len(values)


def test_what_pickle_itself_cannot_write_is_inert_too(tmp_path):
    """As `copyreg` and other picklers write it."""
    weights = {"w": np.ones(2, np.float32)}
    content = {
        "lock": Object("_thread.lock"),
        "reentrant": Object("_thread.RLock"),
        "cache": Object("functools.lru_cache", (128,)),
        "cached": Object("functools._lru_cache_wrapper", (Name("a.f"), 128, False)),
        "proxy": Object("types.MappingProxyType", (weights,)),
    }
    with open_checkpoint(save_zip(tmp_path / "c.pth", content)) as checkpoint:
        tree = checkpoint.tree
        assert [type(tree[key]) for key in list(content)[:4]] == [Opaque] * 4
        assert (tree["cache"].name, tree["cache"].args) == ("functools.lru_cache", (128,))
        # A dict that cannot be changed holds weights as any other does.
        same(find_nodes(tree)["proxy"].own["w"], weights["w"])


def test_names_of_python_2():
    for name, now in (("xrange", "builtins.range"), ("unicode", "builtins.str"), ("long", "builtins.int")):
        assert ".".join(modern("__builtin__", name)) == now


@pytest.mark.parametrize(
    "content",
    [
        Object("builtins.getattr", (Object("builtins.getattr", (Name("a.B"), "c")), "d")),
        Object("builtins.getattr", (Name("a.B"), "__class__")),
        Object("builtins.getattr", (Name("a.B"), "_c")),
        Object("builtins.getattr", (Name("a.B"), "c.d")),
        Object("builtins.getattr", (Name("collections.OrderedDict"), "fromkeys")),
        Object("builtins.getattr", (Name("a.B"), "c", None)),
        Object("builtins.getattr", ()),
        Object("builtins.type", ("X", (), {})),
        Object("functools.reduce", (Name("a.f"), [1, 2])),
        Object("functools.reduce", (Name("builtins.getattr"), [1, 2])),
        Object("operator.getitem", ({"a": 1}, "a")),
        Object("functools.partial", (Name("builtins.getattr"), "x")),
        Object("functools.partial", (Name("os.system"), "x")),
        Object("collections.defaultdict", (Name("builtins.getattr"),)),
        Object("builtins.map", (Name("os.system"), ["true"])),
        Object("operator.call", (Name("a.f"),)),
        Object("types.FunctionType", (None,)),
        Object("uuid._get_command_stdout", ("true",)),
        Raw(b"coperator\nmethodcaller\n(X\x01\x00\x00\x00ctR(ca\nB\ntR"),  # the call of a method by its name
        *(Raw(b"c%s\n%s\n" % (m, n)) for m, n in DOTTED),
        Raw(b"cfunctools\npartial\n(cbuiltins\nprint\ntR)R"),  # a call of what a call gave
        Raw(b"cbuiltins\ngetattr\n(ca\nB\nX\x01\x00\x00\x00ctR)R"),
        *(Name(f"builtins.{name}") for name in ("eval", "exec", "__import__", "compile", "open", "globals", "setattr")),
        *(Name(f"__builtin__.{name}") for name in ("execfile", "apply", "input", "raw_input", "file", "reload")),
    ],
)
def test_what_could_run_code_is_refused_by_name(tmp_path, content):
    path = save_zip(tmp_path / "c.pth", {"a": content})
    with pytest.raises(InputError, match="when opened, which a checkpoint never needs"):
        open_checkpoint(path)


def test_tuples_as_keys_compare_by_identity(tmp_path):
    # Tuples can be made to have one hash, so that each is compared with all others.
    with open_checkpoint(save_zip(tmp_path / "c.pth", {(1, "a"): 3, (1, "b"): 4})) as checkpoint:
        assert [(key.name, key.args, value) for key, value in checkpoint.tree.items()] == [
            ("builtins.tuple", (1, "a"), 3),
            ("builtins.tuple", (1, "b"), 4),
        ]


def test_views_by_dtype_and_subclass_rebuilders(tmp_path):
    base = np.arange(8, dtype=np.uint8)
    reference = ("storage", Name("torch.storage.UntypedStorage"), "0", "cpu", 8)
    tensor = tensor_code(reference, 1, (3,), (1,)).code[:-2]  # without the end of the arguments and the call
    v3 = Raw(tensor.replace(b"_v2", b"_v3") + b"ctorch\nuint16\ntR")
    subclass = Object(
        "torch._tensor._rebuild_from_type_v2",
        (
            Name("torch._utils._rebuild_parameter"),
            Name("torch.nn.Parameter"),
            (tensor_code(reference, 2, (2,), (3,)), True, {}),
            {},
        ),
    )
    path = save_zip(tmp_path / "c.pth", {"v3": v3, "subclass": subclass}, replace={"data/0": base.tobytes()})
    with open_checkpoint(path) as checkpoint:
        same(checkpoint.tree["v3"], base.view("<u2")[1:4])
        same(checkpoint.tree["subclass"], base[2::3])


@pytest.fixture(scope="module")
def attacks(tmp_path_factory):
    sentinel = tmp_path_factory.mktemp("attack") / "sentinel"
    return sentinel, hostile_pickles(sentinel)


def test_the_attacks_are_real(attacks):
    sentinel, codes = attacks
    for name in ("posix_system", "eval", "inst", "protocol_0", "stack_global"):
        pickle.loads(codes[name])
        assert sentinel.exists(), name
        sentinel.unlink()


@both
@pytest.mark.parametrize("attack", sorted(hostile_pickles("sentinel")))
def test_attacks_are_reported_and_do_nothing(tmp_path, container, attack, attacks):
    sentinel, codes = attacks
    path = SAVERS[container](tmp_path / "hostile.pth", pickle_bytes=codes[attack])
    with pytest.raises(InputError, match="when opened, which a checkpoint never needs") as error:
        open_checkpoint(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    assert not sentinel.exists()


def test_hostile_names():
    for name in ("os system", "os.path join", "torch hub.load", "torch os.system", "builtins vars", "torch.fx.graph X"):
        assert is_hostile(*name.split()), name
    for name in ("builtins int", "io BytesIO", "torch.optim.adam Adam", "torch.hubert X", "osgeo X", "a.types.b C"):
        assert not is_hostile(*name.split()), name


def reference(kind="FloatStorage", key="0", numel=4):
    return ("storage", Name(f"torch.{kind}"), key, "cpu", numel)


@pytest.mark.parametrize(
    "content",
    [
        tensor_code(reference(), 1, (4,), (1,)),
        tensor_code(reference(), 0, (2, 2), (4, 1)),
        tensor_code(reference(), -1, (2,), (1,)),
        tensor_code(reference(), 0, (-2,), (1,)),
        tensor_code(reference(), 0, (2,), (-1,)),
        tensor_code(reference(), 0, (2, 2), (1,)),
        tensor_code(reference(), 0, (2.0,), (1,)),
        tensor_code(reference(), 0, (1,) * 70, (1,) * 70),
        tensor_code(reference(), 0, (2**40, 2**40), (0, 0)),
        tensor_code(reference(), 0, (0, 2**61), (1, 1)),
        tensor_code(reference(), 2**61, (1,), (1,)),
        tensor_code(reference(numel=5), 0, (1,), (1,)),
        tensor_code(reference(numel=-1), 0, (1,), (1,)),
        tensor_code(reference(numel=2**61), 0, (1,), (1,)),
        tensor_code(reference(key="1"), 0, (1,), (1,)),
        tensor_code(reference(key="../data.pkl"), 0, (1,), (1,)),
        tensor_code(reference(key=3), 0, (1,), (1,)),
        tensor_code(reference(kind="StrangeStorage"), 0, (1,), (1,)),
        tensor_code(("module", "x"), 0, None, (1,)),
        tensor_code(("storage",), 0, (1,), (1,)),
        tensor_code((), 0, (1,), (1,)),
        Object("torch._utils._rebuild_tensor_v2", ()),
        Object("collections.OrderedDict", (3,)),
        Object("numpy.core.multiarray.scalar", (Object("numpy.dtype", ("f8",)), b"123")),
        Object("numpy.core.multiarray._reconstruct", (), state=(1, (9,), Object("numpy.dtype", ("f8",)), False, b"12")),
        Raw(b"h\x07"),
        Raw(b"R"),
        Raw(b"K\x01K\x02s"),
        Raw(b"(" * 3000),
        Raw(b"}]K\x01s"),
        Raw(b"}\x8a\x08" + struct.pack("<q", 2**61 - 1) + b"Ns"),
        Raw(b"\x8b\x00\x00\x00\x40"),
        Raw(b"\x8d" + b"\xff" * 8),
        Raw(b"X\xff\xff\xff\x7f"),
        Raw(b"P1\n"),
        Raw(b"\x97"),
        Raw(b"\xfe"),
        Raw(b"]" * 2000 + b"a" * 1999),
        Raw(b"N" + b"\x85" * 2000),
    ],
)
def test_malformed_content_is_refused(tmp_path, content):
    path = save_zip(tmp_path / "c.pth", {"a": content}, replace={"data/0": bytes(16)})
    with pytest.raises(InputError) as error:
        open_checkpoint(path)
    assert str(path) in str(error.value) and len(str(error.value)) < 600


def test_bombs_stay_small(tmp_path, monkeypatch):
    monkeypatch.setattr(pickle_rules, "MAX_WORK", 200_000)
    text = b"X" + struct.pack("<I", 2**20) + b"x" * 2**20 + b"q\x000"
    encode = b"c_codecs\nencode\nq\x010"
    bombs = {
        "laughs": b"]q\x00" + b"".join(b"]q%c(h%ch%ch%ce" % (i, i - 1, i - 1, i - 1) for i in range(1, 100)),
        "copies": text + encode + b"(" + b"h\x01h\x00\x85R" * 20_000 + b"l",
        "arguments": b"(" + b"N" * 20_000 + b"tq\x00ca\nB\nq\x01(" + b"h\x01h\x00R" * 5_000 + b"l",
        "steps": b"(" + b"N" * 300_000 + b"l",
    }
    for name, code in bombs.items():
        path = save_zip(tmp_path / f"{name}.pth", pickle_bytes=b"\x80\x02" + code + b".")
        tracemalloc.start()
        start = time.monotonic()
        try:
            with open_checkpoint(path) as checkpoint:
                assert name == "laughs"
                assert find_nodes(checkpoint.tree) == {}
        except InputError as error:
            assert "not a checkpoint" in str(error)
        assert tracemalloc.get_traced_memory()[1] < 50e6, name
        assert time.monotonic() - start < 20, name
        tracemalloc.stop()


def test_cycles_and_shared_dicts(tmp_path):
    twice = save_zip(tmp_path / "a.pth", pickle_bytes=b"\x80\x02}q\x00(X\x01\x00\x00\x00a}q\x01h\x01h\x01u.")
    with pytest.raises(InputError):
        open_checkpoint(twice)  # a dict as a key
    cycle = b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."
    with open_checkpoint(save_zip(tmp_path / "b.pth", pickle_bytes=cycle)) as checkpoint:
        assert checkpoint.tree["a"] is checkpoint.tree
        assert find_nodes(checkpoint.tree) == {}
    levels = b"".join(b"}q%c(X\x01\x00\x00\x00ah%cX\x01\x00\x00\x00bh%cu" % (i, i - 1, i - 1) for i in range(1, 60))
    path = save_zip(tmp_path / "c.pth", pickle_bytes=b"\x80\x02}q\x00" + levels + b".")
    with open_checkpoint(path) as checkpoint:
        assert find_nodes(checkpoint.tree) == {}


@both
def test_a_state_dict_at_the_root_and_nested(tmp_path, container):
    path = SAVERS[container](tmp_path / "c.pth", weights())
    with open_checkpoint(path) as checkpoint:
        assert list(find_nodes(checkpoint.tree)[""].own) == list(weights())
    nested = {"net": {"enc": {"w": np.ones(1, np.float32)}, "b": np.ones(2, np.float32)}, "steps": [1]}
    with open_checkpoint(SAVERS[container](tmp_path / "d.pth", nested)) as checkpoint:
        found = find_nodes(checkpoint.tree)
        assert [(name, [*node.own], [*node.below]) for name, node in found.items()] == [
            ("", [], ["net.b", "net.enc.w"]),
            ("net", ["b"], ["enc.w"]),
            ("net.enc", ["w"], []),
        ]


@both
def test_truncated_files_are_refused_at_every_length(tmp_path, container):
    whole = SAVERS[container](tmp_path / "whole.pth", {"model": weights(), "epoch": 3}).read_bytes()
    path = tmp_path / "part.pth"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError) as error:
            opened(path)
        assert str(path) in str(error.value)
    path.write_bytes(whole[:-1])
    with pytest.raises(InputError, match="download it again"):
        opened(path)


@both
def test_random_damage_never_raises_anything_else(tmp_path, container):
    whole = SAVERS[container](tmp_path / "whole.pth", {"model": weights(), "cfg": Object("a.B", state={"x": 1})})
    whole = whole.read_bytes()
    path, rng, refused = tmp_path / "flipped.pth", random.Random(0), 0
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 2, 8))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            opened(path)
        except InputError:
            refused += 1
    assert refused > 100


def test_random_damage_of_the_pickle_alone(tmp_path):
    code = pickle_of({"model": OrderedDict(a=tensor_code(reference(), 0, (2, 2), (2, 1))), "lr": [1.5, "x", (1, None)]})
    rng, path, refused = random.Random(1), tmp_path / "flipped.pth", 0
    for _ in range(400):
        data = bytearray(code)
        for _ in range(rng.choice((1, 1, 2, 8))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        save_zip(path, pickle_bytes=bytes(data), replace={"data/0": bytes(16)})
        try:
            opened(path)
        except InputError:
            refused += 1
    assert 200 < refused < 400


def test_wrong_checksum_is_found_by_whole_and_partial_reads(tmp_path):
    array = np.arange(1000, dtype=np.float32)
    data = bytearray(save_zip(tmp_path / "c.pth", {"whole": array, "part": array[10:20]}).read_bytes())
    at = data.index(array.tobytes())
    data[at + 3000] ^= 1
    (tmp_path / "c.pth").write_bytes(data)
    with open_checkpoint(tmp_path / "c.pth") as checkpoint:
        for name in ("whole", "part"):
            with pytest.raises(InputError, match="checksum of 'archive/data/0' .*download it again"):
                checkpoint.tree[name].read()


def test_zips_that_are_no_checkpoints(tmp_path):
    content = {"a": np.ones(4, np.float32)}
    cases = {
        "two entries of one name": dict(extra=(("archive/data/0", bytes(16)),)),
        "compressed": dict(compression=zipfile.ZIP_DEFLATED),
        "lacks the entry": dict(replace={"data/0": None}),
        "should hold 16 bytes, found 8": dict(replace={"data/0": bytes(8)}),
        "torch.save did not write": dict(replace={"data.pkl": None}),
        "TorchScript": dict(extra=(("archive/constants.pkl", b""),)),
        "did not write": dict(extra=(("other/data.pkl", b"."),)),
    }
    for message, options in cases.items():
        with pytest.warns(UserWarning) if "one name" in message else contextlib.nullcontext():
            path = save_zip(tmp_path / "c.pth", content, **options)
        with pytest.raises(InputError, match=message):
            open_checkpoint(path)
    np.savez(tmp_path / "c.npz", **content)
    with pytest.raises(InputError, match="'a.npy'"):
        open_checkpoint(tmp_path / "c.npz")


def test_zip_without_checksums(tmp_path):
    path = save_zip(tmp_path / "c.pth", {"a": np.ones(4, np.float32)})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset : at + offset + 4] = bytes(4)
            at = data.find(signature, at + 4)
    path.write_bytes(data)
    assert opened(path)[1]["a"].tolist() == [1, 1, 1, 1]


def test_legacy_that_lies_about_its_storages(tmp_path):
    good = save_legacy(tmp_path / "c.pth", {"a": np.ones(4, np.float32), "b": np.ones(2, np.int64)}).read_bytes()
    count, key = good.rindex(struct.pack("<q", 2)), good.rindex(b"94000064")
    for message, data in {
        "should hold 2 elements, found 3": good[:count] + struct.pack("<q", 3) + good[count + 8 :],
        "'94000065' that nothing uses": good[: key + 7] + b"5" + good[key + 8 :],
        "cut short": good[:-1],
    }.items():
        (tmp_path / "d.pth").write_bytes(data)
        with pytest.raises(InputError, match=message):
            open_checkpoint(tmp_path / "d.pth")
    with pytest.raises(InputError, match="version '7'"):
        open_checkpoint(save_legacy(tmp_path / "e.pth", {}, version=7))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (bytes(1000), "zeros"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-LFS"),
        (b"hello world", "text file that starts with 'hello"),
        (b"\x1f\x8b\x08abc", "gzip"),
        (b"a.txt" + bytes(252) + b"ustar  \0" + bytes(300), "tar archive"),
        (pickle.dumps({"a": 1}), "plain pickle"),
        (pickle.dumps({"a": 1}, 0), "text file"),
        (b"\x93NUMPY\x01\x00", "npy"),
        (b"\xde\xad\xbe\xef", "unknown kind that starts with the bytes de ad be ef"),
        (b"P", "text file"),
        (struct.pack("<Q", 500) + b'{"a":', "safetensors"),
    ],
)
def test_other_files_are_named(tmp_path, data, message):
    path = tmp_path / "model.pth"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as error:
        open_checkpoint(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_missing_files_and_directories(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        open_checkpoint(tmp_path / "none.pth")
    with pytest.raises(InputError, match="is a directory"):
        open_checkpoint(tmp_path)


def test_reads_safetensors(tmp_path):
    arrays = {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3),
        "half": np.arange(3).astype(np.float16),
        "b": np.arange(4).astype(ml_dtypes.bfloat16),
        "n": np.array(3, np.int64),
        "flag": np.array([True, False]),
        "none": np.zeros((0, 2), np.float32),
    }
    path = tmp_path / "c.pth"
    safetensors.numpy.save_file(arrays, path, metadata={"format": "pt"})
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.container == "safetensors"
        found = find_nodes(checkpoint.tree)[""].own
        assert set(found) == set(arrays)
        for name, array in arrays.items():
            same(found[name], array)
    whole = path.read_bytes()
    for length in range(9, len(whole), 11):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match="download it again"):
            opened(path)


@both
def test_opening_does_not_read_the_tensors(tmp_path, container):
    big = np.zeros(2**22, np.float32)
    path = SAVERS[container](tmp_path / "c.pth", {"a": big, "b": np.ones(2, np.float32)})
    tracemalloc.start()
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.tree["b"].read().tolist() == [1, 1]
        assert tracemalloc.get_traced_memory()[1] < 2e6
        checkpoint.tree["a"].read()
        assert tracemalloc.get_traced_memory()[1] < big.nbytes + 2e6
    tracemalloc.stop()
    with pytest.raises(ValueError):
        checkpoint.tree["a"].read()


def test_sha256(tmp_path):
    data = bytes(range(256)) * 40_000
    (tmp_path / "f").write_bytes(data)
    assert sha256(tmp_path / "f") == hashlib.sha256(data).hexdigest()
    with pytest.raises(InputError):
        sha256(tmp_path / "none")
