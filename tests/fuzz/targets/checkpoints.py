"""Checkpoints of other systems, as `stvg-jax convert` reads them, and this library's own folders."""

from __future__ import annotations

import collections
import itertools
import json
import shutil
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz import mutations
from tests.fuzz.engine import Target
from tests.fuzz.worker import Place, check_text
from tests.torch_files import Name, Object, Parameter, hostile_pickles, pickle_of, save_legacy, save_zip, tensor_code

_TOKENS = (
    *(b"model", b"model_ema", b"state_dict", b"module.", b"_orig_mod.", b"optimizer", b"args", b"storage", b"cpu"),
    *(b"collections\nOrderedDict", b"torch\nFloatStorage", b"torch._utils\n_rebuild_tensor_v2", b"builtins\nrange"),
    *(
        b"PK\x03\x04",
        b"PK\x01\x02",
        b"PK\x05\x06",
        b"archive/data.pkl",
        b"archive/data/0",
        b"archive/byteorder",
        b"big",
    ),
    *(
        b"data_offsets",
        b"__metadata__",
        b"F32",
        b"shape",
        b'"dtype"',
        b"\x1b[31m",
        b"../../escape",
        b"\x80\x02",
        b"\x80\x04",
    ),
)


def _contents() -> list:
    weights = OrderedDict(
        [("layer.weight", np.arange(6, dtype=np.float32).reshape(2, 3)), ("layer.bias", np.zeros(3, np.float16))]
    )
    table = np.arange(12, dtype=np.float32).reshape(3, 4)
    training = {
        "model": weights,
        "model_ema": OrderedDict((f"module.{name}", value) for name, value in weights.items()),
        "optimizer": {"state": {0: {"step": 3, "exp_avg": np.ones(2, np.float32)}}, "param_groups": [{"lr": 1e-4}]},
        "args": Object("argparse.Namespace", state={"lr": 1e-4, "names": ["a", "b"]}),
        "epoch": 3,
    }
    views = {"all": table, "columns": table[:, 1:3], "turned": table.T, "parameter": Parameter(np.ones(2, np.float32))}
    return [training, weights, {"state_dict": views, "kind": Name("torch.float32")}]


def _zips(folder: Path) -> list[bytes]:
    files = [save_zip(folder / f"{i}.pth", content) for i, content in enumerate(_contents())]
    files.append(save_zip(folder / "big.pth", _contents()[0], byteorder="big"))
    return [file.read_bytes() for file in files]


def _legacies(folder: Path) -> list[bytes]:
    return [save_legacy(folder / f"{i}.pt", content).read_bytes() for i, content in enumerate(_contents())]


def _safetensors(folder: Path) -> list[bytes]:
    from safetensors.numpy import save

    small = {"layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "layer.bias": np.zeros(3, np.float16)}
    return [save(small), save(small, {"format": "pt"}), save({"a": np.zeros((0, 2), np.int64), "b": np.ones((), bool)})]


def _pickles(folder: Path) -> list[bytes]:
    storage = ("storage", Name("torch.FloatStorage"), "0", "cpu", 6)
    tensors = [{"a": tensor_code(storage, 0, (2, 3), (3, 1))}, {"a": tensor_code(storage, 1, (2,), (2,))}]
    plain = [{"a": [1, 2.5, "text", b"bytes", None, True, (1, 2)]}, OrderedDict(x=1), [[[]], {}]]
    sound = [pickle_of(content) for content in (*plain, *tensors)]
    # What an attack would make lies where a worker looks for changes: in its folder `home`.
    return [*sound, *hostile_pickles("../home/attacked").values()]


def _read_file(data: bytes, place: Place) -> object:
    from stvg_jax.convert.convert_file import convert_file
    from stvg_jax.convert.readers import open_checkpoint
    from stvg_jax.core.errors import InputError

    path = place.file("model.pth", data)
    with open_checkpoint(path) as checkpoint:
        tensors = _tensors(checkpoint.tree)
        for tensor in tensors[:20]:
            tensor.read()
    _clear(place.out)
    try:
        convert_file(path, place.out / "converted", tokenizer=place.input)
    except InputError as error:  # no file is that of a model
        check_text(str(error))
    return checkpoint.container, len(tensors)


def _tensors(tree: Any) -> list:
    """Those of the first thousand objects of a checkpoint."""
    from stvg_jax.convert.readers import TensorRef

    pending, seen = collections.deque([tree]), set()
    found = []
    while pending and len(seen) < 1_000:
        node = pending.popleft()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, TensorRef):
            found.append(node)
        elif isinstance(node, dict | list | tuple):
            pending.extend(itertools.islice(node.values() if isinstance(node, dict) else node, 1_000))
    return found


def _clear(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def _indices(folder: Path) -> list[bytes]:
    from safetensors.numpy import save_file

    shards = {
        "a-1.safetensors": {"layer.weight": np.ones(3, np.float32)},
        "a-2.safetensors": {"b": np.ones(2, np.int8)},
    }
    for name, tensors in shards.items():
        save_file(tensors, folder / name)
    weight_map = {tensor: name for name, tensors in shards.items() for tensor in tensors}
    return [json.dumps({"metadata": {"total_size": 14}, "weight_map": weight_map}).encode()]


def _read_index(data: bytes, place: Place) -> object:
    from stvg_jax.convert.readers import open_checkpoint

    path = place.file("model.safetensors.index.json", data)
    for shard in place.seeds.glob("*.safetensors"):
        shutil.copy(shard, place.input)
    with open_checkpoint(path) as checkpoint:
        return [tensor.read().shape for tensor in _tensors(checkpoint.tree)]


def _read_pickle(data: bytes, place: Place) -> object:
    """In a sound archive with a storage of six numbers."""
    from stvg_jax.convert.readers import open_checkpoint

    path = place.file("model.pth", b"")
    save_zip(path, {"a": np.arange(6, dtype=np.float32)}, pickle_bytes=data)
    with open_checkpoint(path) as checkpoint:
        return type(checkpoint.tree).__name__, [tensor.read().shape for tensor in _tensors(checkpoint.tree)]


def _own(folder: Path, *, one_file: bool = True) -> Path:
    from stvg_jax.core import checkpoint

    directory = folder / "checkpoint"
    directory.mkdir()
    parameters = {"encoder/kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "head/bias": np.zeros(5, np.float32)}
    description = checkpoint.Description(model="ta_stvg", config={"model": {}, "clip": {}}, note="a note")
    checkpoint.write(directory, parameters, description, one_file=one_file)
    return directory


def _descriptions(folder: Path) -> list[bytes]:
    return [(_own(folder) / "checkpoint.json").read_bytes()]


def _read_description(data: bytes, place: Place) -> object:
    from stvg_jax.core import checkpoint
    from stvg_jax.core.errors import InputError
    from stvg_jax.models.loading import load_model

    folder = place.replaced(place.seeds / "checkpoint", "checkpoint.json", data)
    try:
        load_model(folder)
    except InputError as error:  # two parameters are no model
        check_text(str(error))
    return checkpoint.verify(folder)


def _parameters(folder: Path) -> list[bytes]:
    return [(_own(folder) / "parameters.safetensors").read_bytes()]


def _read_parameters(data: bytes, place: Place) -> object:
    from stvg_jax.core import checkpoint

    # The description says how long the file is, which would be all that is ever noticed.
    template = json.loads((place.seeds / "checkpoint" / "checkpoint.json").read_text())
    template["files"]["parameters.safetensors"] = len(data)
    folder = place.replaced(place.seeds / "checkpoint", "checkpoint.json", json.dumps(template).encode())
    (folder / "parameters.safetensors").write_bytes(data)
    return checkpoint.verify(folder)


def _orbax(folder: Path) -> list[bytes]:
    directory = _own(folder, one_file=False)
    files = sorted(path for path in (directory / "parameters").rglob("*") if path.is_file())
    return [str(file.relative_to(directory)).encode() + b"\0" + file.read_bytes() for file in files]


def _read_orbax(data: bytes, place: Place) -> object:
    from stvg_jax.core import checkpoint

    name, _, content = data.partition(b"\0")
    record = json.loads((place.seeds / "checkpoint" / "checkpoint.json").read_text())
    name = name.decode("latin-1")
    if name not in record["files"]:
        name = sorted(record["files"])[len(content) % len(record["files"])]
    record["files"][name] = len(content)
    folder = place.replaced(place.seeds / "checkpoint", "checkpoint.json", json.dumps(record).encode())
    (folder / name).write_bytes(content)
    return checkpoint.verify(folder)


_OWN_TOKENS = (
    b"stvg_jax.checkpoint/1",
    b"parameters.safetensors",
    b"model",
    b"initialisation",
    b"../../escape",
    b"crc32",
)
TARGETS = (
    Target("torch-zip", _zips, _read_file, (mutations.damage_zip,), _TOKENS),
    Target("torch-legacy", _legacies, _read_file, (mutations.damage_pickle, mutations.damage_bytes), _TOKENS),
    Target("safetensors", _safetensors, _read_file, (mutations.damage_safetensors,), _TOKENS),
    Target("safetensors-index", _indices, _read_index, (mutations.damage_json, mutations.damage_bytes), _TOKENS),
    Target("pickle", _pickles, _read_pickle, (mutations.damage_pickle,), _TOKENS),
    Target("checkpoint-description", _descriptions, _read_description, (mutations.damage_json,), _OWN_TOKENS),
    Target("checkpoint-orbax", _orbax, _read_orbax, (mutations.damage_member,), _OWN_TOKENS),
    Target("checkpoint-parameters", _parameters, _read_parameters, (mutations.damage_safetensors,), _OWN_TOKENS),
)
