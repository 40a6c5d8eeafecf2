"""Checkpoint directories: written, read, and found out when damaged."""

from __future__ import annotations

import json
import os
import shutil
import sys

import ml_dtypes
import numpy as np
import pytest

from stvg_jax.core import checkpoint
from stvg_jax.core.checkpoint import Description, new_directory
from stvg_jax.core.errors import InputError

PARAMETERS = {
    "encoder/layers/0/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "encoder/layers/10/kernel": np.full((2, 3), -0.0, np.float32),
    "encoder/layers/2/kernel": np.array([[np.nan, np.inf, 1e-45]], np.float32),
    "encoder/table": np.arange(4096, dtype=np.float32),  # long enough for a place of its own in a file
    "head/bias": np.zeros((5,), np.float32),
    "head/scale": np.ones((3,), ml_dtypes.bfloat16),
}
CONFIG = {"model": {"widths": [1, 2], "name": None}, "clip": {"resolution": 96}}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory = tmp_path_factory.mktemp("written")
    checkpoint.write(directory, PARAMETERS, Description(model="ta_stvg", config=CONFIG, note="a note"))
    return directory


@pytest.fixture(scope="module")
def one_file(tmp_path_factory):
    directory = tmp_path_factory.mktemp("one_file")
    checkpoint.write(directory, PARAMETERS, Description(model="ta_stvg", config=CONFIG, note="a note"), one_file=True)
    return directory


@pytest.fixture
def copy(written, tmp_path):
    shutil.copytree(written, tmp_path / "copy")
    return tmp_path / "copy"


def refused(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["written", "one_file"])
def test_what_is_written_is_read(form, request):
    written = request.getfixturevalue(form)
    description = checkpoint.describe(written)
    assert (description.model, description.kind, description.note) == ("ta_stvg", "model", "a note")
    assert description.config == CONFIG
    assert description.parameters["encoder/layers/0/kernel"]["shape"] == [2, 3]
    found = checkpoint.read(written, description)
    assert found.keys() == PARAMETERS.keys()
    for path, value in PARAMETERS.items():
        assert (found[path].shape, found[path].dtype) == (value.shape, np.float32)
        assert np.asarray(found[path]).tobytes() == value.astype(np.float32).tobytes()
    assert checkpoint.verify(written) == len(PARAMETERS)


@pytest.mark.skipif(sys.platform != "linux", reason="a file name is text elsewhere")
@pytest.mark.parametrize("one_file", [False, True])
def test_folders_whose_names_are_no_text(one_file, tmp_path):
    directory = tmp_path / os.fsdecode(b"a\xff") / "b"
    with new_directory(directory) as partial:
        checkpoint.write(partial, PARAMETERS, Description(model="ta_stvg", config=CONFIG), one_file=one_file)
    assert checkpoint.verify(directory) == len(PARAMETERS)
    with new_directory(directory, force=True) as partial:
        checkpoint.write(partial, {"a": PARAMETERS["head/bias"]}, Description(model="x", config={}), one_file=one_file)
    assert checkpoint.verify(directory) == 1


def test_progress_is_told(written):
    seen = []
    checkpoint.verify(written, progress=seen.append)
    assert sorted(seen) == sorted(PARAMETERS)


def test_checksums_do_not_depend_on_the_layout_in_memory():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert checkpoint.checksum(array) == checkpoint.checksum(np.asfortranarray(array)) != checkpoint.checksum(array.T)


def test_places_without_a_checkpoint(tmp_path):
    refused(
        lambda: checkpoint.describe(tmp_path / "none"), "checkpoint .*none does not exist; a checkpoint is a folder"
    )
    refused(lambda: checkpoint.describe(tmp_path), "is not a checkpoint: it has no checkpoint.json")
    (tmp_path / "model.pth").write_bytes(b"PK")
    refused(lambda: checkpoint.describe(tmp_path / "model.pth"), "is a file; .*`stvg-jax convert` turns")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        ("[1]", "has format 'list'"),
        ('{"model_type": "roberta"}', "has format None; this version reads 'stvg_jax.checkpoint/1'"),
        ('{"format": "stvg_jax.checkpoint/2"}', "has format 'stvg_jax.checkpoint/2'; this version reads"),
        ('{"format": "stvg_jax.checkpoint/1"}', "incomplete or has unknown keys: .*'model' and 'config'"),
        ({"more": 1}, "incomplete or has unknown keys: .*'more'"),
        ({"parameters": ["head/bias"]}, "incomplete"),
        ({"parameters": {"head/bias": {"shape": [3]}}}, "incomplete.*crc32"),
        ({"parameters": {"head/bias": {"shape": 3, "crc32": 4}}}, "incomplete"),
        ({"files": {"parameters/_METADATA": None}}, "incomplete"),
        ({"files": {"parameters/_METADATA": float("inf")}}, "lacks a size"),
        ({"files": {"../../etc/passwd": 3}}, "'../../etc/passwd', which names no parameter and no file in it"),
        ({"files": {"/etc/passwd": 3}}, "'/etc/passwd', which names"),
        ({"parameters": {"head\x1b[31m": {"shape": [3], "crc32": 4}}}, r"'head\\x1b\[31m', which names"),
        ({"parameters": {"head": {"shape": [float("inf")], "crc32": 4}}}, "lacks shape and crc32"),
        ({"parameters": {"head": {"shape": [3], "crc32": float("nan")}}}, "lacks shape and crc32"),
        ({"config": "x"}, "its config must be of type dict, not str"),
        ({"model": None}, "its model must be of type str, not NoneType"),
        ("[" * 100_000, "cannot be read: .*nested too deeply"),
        ('{"format": "\x1b[31m"}', "cannot be read"),
        ('{"format": "\\u001b[31m"}', r"has format '\\x1b\[31m'"),
        ({"\x1b[31m" * 1_000: 1}, r"unknown keys: '(\\x1b\[31m)+'\.\.\.$"),
    ],
)
def test_descriptions_of_something_else(copy, text, message):
    path = copy / "checkpoint.json"
    if isinstance(text, dict):
        text = json.dumps(json.loads(path.read_text()) | text)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(lambda: checkpoint.describe(copy), message)


def test_every_file_is_missed(copy):
    description = checkpoint.describe(copy)
    files = [path for path in (copy / "parameters").rglob("*") if path.is_file()]
    assert len(files) == len(description.files) > 3
    for file in files:
        data = file.read_bytes()
        name = file.relative_to(copy)
        file.write_bytes(data[:-1])
        refused(lambda: checkpoint.read(copy, description), f"is damaged: {name} has .* bytes, not .*make it anew")
        file.unlink()
        refused(lambda: checkpoint.read(copy, description), f"is damaged: {name} is missing")
        file.write_bytes(data)
    assert checkpoint.verify(copy) == len(PARAMETERS)
    shutil.rmtree(copy / "parameters")
    refused(lambda: checkpoint.read(copy, description), "is missing")


def test_a_single_file_may_be_read_by_whom_the_rest_may(one_file):
    modes = {path.stat().st_mode for path in one_file.iterdir() if path.is_file()}
    assert len(modes) == 1


def test_a_damaged_single_file_is_found(one_file, tmp_path):
    directory = tmp_path / "copy"
    shutil.copytree(one_file, directory)
    description = checkpoint.describe(directory)
    assert list(description.files) == ["parameters.safetensors"]
    file = directory / "parameters.safetensors"
    data = bytearray(file.read_bytes())
    file.write_bytes(data[:-1])
    refused(lambda: checkpoint.read(directory, description), "is damaged: parameters.safetensors has .* bytes, not")
    file.write_bytes(b"\xff" * 8 + data[8:])
    refused(lambda: checkpoint.read(directory, description), "the parameters in .* cannot be read: ")
    data[-1] ^= 4
    file.write_bytes(data)
    refused(lambda: checkpoint.verify(directory), "differ from their checksums: ")


def test_a_changed_structure_is_found(copy):
    path = copy / "parameters" / "_METADATA"
    path.write_text("}" + path.read_text()[1:])
    refused(lambda: checkpoint.read(copy, checkpoint.describe(copy)), "the parameters in .* cannot be read: ")


def test_a_changed_value_is_found(copy):
    value = PARAMETERS["encoder/table"].tobytes()
    (path,) = [path for path in (copy / "parameters").rglob("*") if path.is_file() and value in path.read_bytes()]
    path.write_bytes(path.read_bytes().replace(value, value[:-1] + bytes([value[-1] ^ 4])))
    refused(lambda: checkpoint.verify(copy), "differ from their checksums: encoder/table; copy")


def test_parameters_and_description_must_agree(copy):
    path = copy / "checkpoint.json"
    record = json.loads(path.read_text())
    record["parameters"]["encoder/layers/0/kernel"]["shape"] = [3, 2]
    record["parameters"]["gone"] = record["parameters"].pop("head/bias")
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match="3 parameters differ"):
        checkpoint.read(copy, checkpoint.describe(copy))


def test_a_model_must_fit(written):
    description = checkpoint.describe(written)
    checkpoint.check(written, description, PARAMETERS)
    with pytest.raises(InputError) as caught:
        other = {path: value for path, value in PARAMETERS.items() if path != "head/bias"}
        checkpoint.check(written, description, other | {"head/kernel": np.zeros((1, 2)), "head/scale": np.zeros(4)})
    message = str(caught.value)
    for part in ("head/bias (5,)", "head/kernel (1, 2)", "head/scale has shape (3,), the model needs (4,)"):
        assert part in message


def test_parameters_that_cannot_be_written(tmp_path):
    (tmp_path / "parameters").write_text("in the way")
    description = Description(model="ta_stvg", config=CONFIG)
    refused(lambda: checkpoint.write(tmp_path, PARAMETERS, description), "the parameters cannot be written to ")


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def test_a_new_directory_appears_whole(tmp_path):
    with new_directory(tmp_path / "a" / "b") as partial:
        assert not (tmp_path / "a" / "b").exists()
        assert partial.parent == tmp_path / "a"
        (partial / "file").write_text("x")
    assert names(tmp_path / "a") == ["b"]
    assert names(tmp_path / "a" / "b") == ["file"]


@pytest.mark.parametrize("error", [InputError, OSError, KeyboardInterrupt, SystemExit])
def test_or_not_at_all(tmp_path, error):
    def fail(directory, **options):
        with pytest.raises(error), new_directory(directory, **options) as partial:
            (partial / "deep").mkdir()
            (partial / "deep" / "file").write_text("x")
            raise error

    fail(tmp_path / "a" / "b")
    assert names(tmp_path) == []
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "checkpoint.json").write_text("old")
    fail(tmp_path / "old", force=True)
    assert names(tmp_path) == ["old"]
    assert (tmp_path / "old" / "checkpoint.json").read_text() == "old"


def test_only_checkpoints_are_replaced_and_only_by_force(tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    (old / "checkpoint.json").write_text("old")
    (tmp_path / "file").write_text("x")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_text("x")

    def make(directory, **options):
        with new_directory(directory, **options) as partial:
            (partial / "checkpoint.json").write_text("new")

    refused(lambda: make(old), "exists already; choose another folder or pass --force")
    for other in ("file", "mine"):
        refused(lambda other=other: make(tmp_path / other, force=True), "is not a checkpoint and is not replaced")
    make(old, force=True)
    assert (old / "checkpoint.json").read_text() == "new"
    (tmp_path / "empty").mkdir()
    make(tmp_path / "empty", force=True)
    assert names(tmp_path) == ["empty", "file", "mine", "old"]


def test_what_appears_meanwhile_is_kept(tmp_path):
    with pytest.raises(OSError), new_directory(tmp_path / "out"):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "file").write_text("of another")
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["file"]


def test_a_parent_that_cannot_hold_it(tmp_path):
    (tmp_path / "file").write_text("x")
    for out in ("file/out", "file/deep/out"):

        def make(out=out):
            with new_directory(tmp_path / out):
                pass

        refused(make, f"cannot write .*{out}: .*file.*: ")
    assert names(tmp_path) == ["file"]


def test_a_description_with_a_byte_order_mark(copy):
    path, before = copy / "checkpoint.json", checkpoint.describe(copy)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert checkpoint.describe(copy) == before
