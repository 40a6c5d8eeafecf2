"""Checkpoints in several files with an index."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.numpy

from stvg_jax.convert.readers import find_nodes, open_checkpoint
from stvg_jax.core.errors import InputError
from tests.torch_files import save_legacy, save_zip

TENSORS = {f"w{i}": np.full((2, 3), i, np.float32) for i in range(5)}
PARTS = ({"w0", "w3"}, {"w1"}, {"w2", "w4"})


def save(path, tensors):
    if path.suffix == ".safetensors":
        safetensors.numpy.save_file(tensors, path)
    elif "00002" in path.name:
        save_legacy(path, tensors)
    else:
        save_zip(path, tensors)


@pytest.fixture(params=["model.safetensors", "pytorch_model.bin"])
def index(request, tmp_path):
    """The index of a checkpoint in three parts."""
    stem, _, kind = request.param.rpartition(".")
    weight_map = {}
    for number, names in enumerate(PARTS, 1):
        path = tmp_path / f"{stem}-{number:05}-of-00003.{kind}"
        save(path, {name: TENSORS[name] for name in names})
        weight_map |= dict.fromkeys(sorted(names), path.name)
    path = tmp_path / f"{request.param}.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 120}, "weight_map": weight_map}))
    return path


def part(index, number):
    (path,) = index.parent.glob(f"*-0000{number}-of-*")
    return path


VARIANTS = {
    "model.safetensors.index.fp16.json": "model.fp16-0000{}-of-00003.safetensors",
    "model.safetensors.fp16.index.json": "model-0000{}-of-00003.fp16.safetensors",
    "pytorch_model.bin.index.no-ema.json": "pytorch_model.no-ema-0000{}-of-00003.bin",
    "diffusion_pytorch_model.safetensors.index.bf16.json": "diffusion_pytorch_model-0000{}-of-00003.bf16.safetensors",
    "ema.v2.safetensors.index.json": "ema.v2-0000{}-of-00003.safetensors",
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variants(tmp_path, name):
    weight_map = {}
    for number, names in enumerate(PARTS, 1):
        path = tmp_path / VARIANTS[name].format(number)
        save(path, {n: TENSORS[n] for n in names})
        weight_map |= dict.fromkeys(sorted(names), path.name)
    (tmp_path / name).write_text(json.dumps({"weight_map": weight_map}))
    first = tmp_path / VARIANTS[name].format(1)
    for path in (tmp_path / name, first, tmp_path):
        with open_checkpoint(path) as checkpoint:
            assert (checkpoint.path, len(checkpoint.tree), len(checkpoint.files)) == (tmp_path / name, 5, 4)
    # Without a variant comes first, as the libraries that write these files choose it.
    safetensors.numpy.save_file({"other": TENSORS["w0"]}, tmp_path / "model.safetensors")
    with open_checkpoint(tmp_path) as checkpoint:
        assert len(checkpoint.tree) == (5 if name.endswith("safetensors.index.json") else 1)
    (tmp_path / name).unlink()
    assert "is part 1 of 3" in refused(first) and ".index" in refused(first)


def change(index, **weight_map):
    content = json.loads(index.read_text())
    content["weight_map"] |= weight_map
    content["weight_map"] = {name: file for name, file in content["weight_map"].items() if file is not None}
    index.write_text(json.dumps(content))


def refused(path):
    with pytest.raises(InputError) as caught:
        open_checkpoint(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 800
    return str(caught.value)


def test_by_index_by_part_and_by_folder(index):
    for path in (index, part(index, 2), index.parent):
        with open_checkpoint(path) as checkpoint:
            assert checkpoint.path == index
            assert checkpoint.container.endswith(" in 3 parts")
            assert checkpoint.files == [index, *(part(index, number) for number in (1, 2, 3))]
            found = find_nodes(checkpoint.tree)[""].own
            assert sorted(found) == sorted(TENSORS)
            for name, value in TENSORS.items():
                np.testing.assert_array_equal(found[name].read(), value)
    with pytest.raises(ValueError):
        found["w0"].read()


def test_the_index_may_begin_with_a_byte_order_mark(index):
    index.write_bytes(b"\xef\xbb\xbf" + index.read_bytes())
    with open_checkpoint(index) as checkpoint:
        assert len(checkpoint.tree) == 5


def test_missing_and_extra_parts(index):
    part(index, 2).rename(index.parent / "away")
    assert "-00002-of-00003." in refused(index) and "is not beside it" in refused(index)
    (index.parent / "away").rename(part(index, 1).with_name(part(index, 1).name.replace("00001", "00002")))
    change(index, w1=None)
    assert "does not name it" in refused(index)
    part(index, 2).unlink()
    assert "names 2 of 3 parts" in refused(index)


def test_a_part_without_its_index(index):
    index.unlink()
    assert "is part 2 of 3" in refused(part(index, 2)) and "index.json" in refused(part(index, 2))
    assert "is a directory that holds none of" in refused(index.parent)


def test_names_that_disagree(index):
    change(index, w9=part(index, 1).name)
    assert "lacks 'w9', which the index lists there" in refused(index)
    change(index, w9=None, w0=None)
    assert "holds 'w0', which the index does not list there" in refused(index)
    change(index, w0=part(index, 2).name)
    assert "holds 'w0', which the index does not list there" in refused(index)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "C:x", "x\n", "\x1b[31m", "n" * 256]
)
def test_parts_lie_beside_the_index(index, name):
    change(index, w0=name)
    assert "names the file" in refused(index)


@pytest.mark.parametrize("wrong", [3, None, [], {"a": "b"}, True])
def test_files_that_are_no_names(index, wrong):
    index.write_text(json.dumps({"weight_map": {"w0": wrong}}))
    assert "is not text" in refused(index)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a valid index"),
        ("[1]", "has no weight_map"),
        ("{}", "has no weight_map"),
        ('{"weight_map": 3}', "has no weight_map"),
        ('{"weight_map": {}}', "lists 0 files"),
        ('{"weight_map": {"a": "x", "a": "y"}}', "the key 'a' occurs twice"),
        ('{"weight_map": {"a": "x"}, "weight_map": {}}', "twice"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' + "1" * 10_000 + "}", "is not a valid index"),
        ('{"weight_map": {"a": "\\ud800"}}', "is not beside it"),
        ("\udcff", "is not a valid index"),
        (json.dumps({"weight_map": {str(i): f"f{i}" for i in range(1_001)}}), "lists 1,001 files"),
    ],
)
def test_broken_indexes(index, text, message):
    index.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert message in refused(index)


def test_parts_that_are_no_state_dicts(index):
    save_zip(part(index, 1), {"model": {"w0": TENSORS["w0"]}})
    assert "is not a part of a state dict" in refused(index)
    part(index, 1).write_bytes(b"x")
    assert "a text file" in refused(index)


def test_folders(tmp_path):
    safetensors.numpy.save_file(TENSORS, tmp_path / "model.safetensors")
    save_zip(tmp_path / "pytorch_model.bin", TENSORS)
    with open_checkpoint(tmp_path) as checkpoint:
        assert checkpoint.path == tmp_path / "model.safetensors"
    for name in ("model.safetensors", "pytorch_model.bin"):
        (tmp_path / name).rename(tmp_path / name.replace(".", ".fp16."))
    with open_checkpoint(tmp_path) as checkpoint:
        assert checkpoint.path == tmp_path / "model.fp16.safetensors"
    safetensors.numpy.save_file(TENSORS, tmp_path / "model.bf16.safetensors")
    assert "several checkpoints: 'model.bf16.safetensors', 'model.fp16.safetensors'" in refused(tmp_path)
    (tmp_path / "a.safetensors.index.json").write_text("{}")
    (tmp_path / "b.safetensors.index.json").write_text("{}")
    assert "several checkpoints: 'a.safetensors.index.json', 'b.safetensors.index.json'" in refused(tmp_path)
