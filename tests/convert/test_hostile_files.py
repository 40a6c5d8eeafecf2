"""Small files that ask for endless work, memory or text: each is read or refused at once, in one line."""

from __future__ import annotations

import json
import pickle
import resource
import struct
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from stvg_jax.cli import main
from stvg_jax.convert.readers import nodes, open_checkpoint, pickle_rules
from stvg_jax.convert.weights import choose_weights
from stvg_jax.core.errors import InputError
from tests.torch_files import LEGACY_VERSION, MAGIC_NUMBER, Name, Raw, save_zip, tensor_code

STORAGE = ("storage", Name("torch.FloatStorage"), "0", "cpu", 1)


def text(value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value


def two(code: bytes) -> bytes:
    return b"\x80\x02" + code + b"."


def looked_at(path) -> str:
    """Reads the file and looks for weights; gives the refusal, and checks the time that it took."""
    start = time.process_time()
    with pytest.raises(InputError) as caught, open_checkpoint(path) as checkpoint:
        choose_weights(checkpoint.tree, str(path))
    assert time.process_time() - start < 5
    message = str(caught.value)
    assert message.isprintable() and len(message) < 2_000
    return message


def doubled(levels: int) -> bytes:
    """A list that holds the list before it twice, and so on: its text has 2 ** levels parts."""
    return b"]q\x00" + b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(levels))


@pytest.mark.parametrize("place", ["magic", "version", "facts", "keys", "key"])
def test_text_is_never_made_of_what_a_file_holds(place, tmp_path):
    bomb = two(doubled(59))
    parts = {
        "magic": pickle.dumps(MAGIC_NUMBER, 2),
        "version": pickle.dumps(LEGACY_VERSION, 2),
        "facts": two(b"}"),
        "tree": two(b"}"),
        "keys": two(b"]"),
    }
    parts |= {"keys": two(b"](" + doubled(59) + b"e")} if place == "key" else {place: bomb}
    if place == "magic":
        parts["magic"] = pickle.dumps(MAGIC_NUMBER, 2)
        parts["version"] = two(b"]q\x00(" + b"h\x00" * 50 + b"e")
    (tmp_path / "x.pth").write_bytes(b"".join(parts.values()))
    looked_at(tmp_path / "x.pth")


def test_a_wide_dict_that_is_shared_is_visited_once(tmp_path):
    inner = b"}q\x00(" + b"".join(b"M" + struct.pack("<H", i) + b"K\x00" for i in range(14_000)) + b"u"
    outer = b"}(" + b"".join(text(b"%d" % i) + b"h\x00" for i in range(14_000)) + b"u"
    path = save_zip(tmp_path / "x.pth", pickle_bytes=two(inner + b"0" + outer))
    assert "holds no tensors with names" in looked_at(path)


def test_paths_are_of_bounded_length(tmp_path):
    code = b"}" + text(b"k" * 100_000) + b"}" + text(b"l" * 100_000) + b"}("
    code += b"".join(text(b"%d" % i) + b"}" for i in range(6_000)) + b"uss"
    assert "holds no tensors with names" in looked_at(save_zip(tmp_path / "x.pth", pickle_bytes=two(code)))


def test_names_of_bounded_total_length(tmp_path, monkeypatch):
    tree = {"a" * 150: {"b" * 150: {f"w{i}": np.ones(1, np.float32) for i in range(50)}}}
    path = save_zip(tmp_path / "x.pth", tree)
    assert "has no known format" in looked_at(path)
    monkeypatch.setattr(nodes, "_MAX_CHARACTERS", 20_000)
    assert "too many and too long names" in looked_at(path)


def test_entries_are_counted(monkeypatch):
    tree = {"a": 1, "b": {"c": 2, "d": {}}}
    monkeypatch.setattr(nodes, "MAX_ENTRIES", 4)
    assert nodes.find_nodes(tree) == {}
    monkeypatch.setattr(nodes, "MAX_ENTRIES", 3)
    with pytest.raises(InputError, match="more than 3 entries"):
        nodes.find_nodes(tree)


def test_control_characters_in_names(tmp_path, capsys):
    evil = "0\nOK: converted\x1b[31m"
    tensor = tensor_code((*STORAGE[:2], evil, "cpu", 1), 0, (1,), (1,))
    content = {"backbone.patch_embed.\x1b[2J": tensor, "backbone.layers.0.blocks.0.attn.\x07": tensor}
    good = save_zip(tmp_path / "x.pth", content, replace={f"data/{evil}": b"1234"}).read_bytes()
    for data in (good, good.replace(b"1234", b"1235", 1), good.replace(evil[:3].encode(), b"1\nO", 1)):
        (tmp_path / "x.pth").write_bytes(data)
        assert main(["convert", str(tmp_path / "x.pth"), str(tmp_path / "out"), "--format", "video_swin"]) == 2
        message = capsys.readouterr().err
        assert "\x1b" not in message and "\nOK" not in message
    with pytest.raises(InputError, match=r"'archive/data/0\\nOK: converted\\x1b\[31m'"):
        open_checkpoint(save_zip(tmp_path / "y.pth", content))


def join(count: int, item) -> bytes:
    return b"".join(map(item, range(count)))


# Bytes -> opcodes of a pickle of about that size.
PICKLES = {
    "nones": lambda size: b"(" + b"N" * size + b"l",
    "dicts": lambda size: b"(" + b"}" * size + b"l",
    "stack": lambda size: b"]" * size,
    "memo": lambda size: b"N" + b"\x94" * size,
    "copies": lambda size: b"N" + b"2" * size,
    "nested": lambda size: b"N" + b"\x85" * size,
    "marks": lambda size: b"(1" * (size // 2) + b"N",
    "long": lambda size: b"\x8b" + struct.pack("<i", size) + b"\x7f" * size,
    "int_text": lambda size: b"I" + b"1" * size + b"\n",
    "long_text": lambda size: b"L" + b"1" * size + b"L\n",
    "control_text": lambda size: b"I" + b"\x1b[31m" * (size // 5) + b"\n",
    "tuple_keys": lambda size: b"}(" + join(size // 9, lambda i: b"J" + struct.pack("<i", i) + b"K\x01\x86N") + b"u",
    "names": lambda size: b"(" + join(size // 9, lambda i: b"ca\n%x\n" % i) + b"l",
    "calls": lambda size: b"ca\nB\nq\x01)q\x020(" + b"h\x01h\x02R" * (size // 5) + b"l",
    "dict_copies": lambda size: (
        b"ccollections\nOrderedDict\nq\x01}("
        + join(size // 30, lambda i: text(b"%x" % i) + b"N")
        + b"u\x85q\x02("
        + b"h\x01h\x02R" * (size // 10)
        + b"l"
    ),
    "storages": lambda size: (
        b"("
        + text(b"storage")
        + b"ctorch\nFloatStorage\n"
        + text(b"0")
        + text(b"cpu")
        + b"K\x01tq\x01("
        + b"h\x01Q" * (size // 3)
        + b"l"
    ),
}


@pytest.mark.parametrize("kind", PICKLES)
def test_work_is_bounded(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(pickle_rules, "_FREE_WORK", 1_000)
    looked_at(save_zip(tmp_path / "x.pth", pickle_bytes=two(PICKLES[kind](20_000)), replace={"data/0": bytes(4)}))


@pytest.mark.slow
@pytest.mark.parametrize("kind", PICKLES)
def test_a_megabyte_takes_two_seconds_and_a_gigabyte(kind, tmp_path):
    path = save_zip(tmp_path / "x.pth", pickle_bytes=two(PICKLES[kind](980_000)), replace={"data/0": bytes(4)})

    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (10, 10))  # 2 on an idle machine; others share this one

    command = [sys.executable, "-m", "stvg_jax.cli", "convert", str(path), str(tmp_path / "out")]
    # Its own children only, so that the peak is this one's.
    script = (
        "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, preexec_fn=limit)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr[-2_000:]
    assert int(done.stdout) < 1_000_000  # KiB


def test_tensors_that_share_one_byte(tmp_path, capsys):
    huge = tensor_code(STORAGE, 0, (2**40,), (0,))
    assert "would take" in looked_at(save_zip(tmp_path / "x.pth", {"w": huge}, replace={"data/0": bytes(4)}))
    # Each within the limit, thousands of them, under names that the format knows.
    large = tensor_code(STORAGE, 0, (2**13, 2**13 - 1), (0, 0))
    names = [f"backbone.layers.0.blocks.{i}.attn.qkv.weight" for i in range(200)]
    content = {name: large for name in ("backbone.patch_embed.proj.weight", *names)}
    path = save_zip(tmp_path / "x.pth", {"model": content}, replace={"data/0": bytes(4)})
    start = time.process_time()
    assert main(["convert", str(path), str(tmp_path / "out")]) == 2
    assert time.process_time() - start < 20  # reading them all would be 0.5 TB
    assert "'backbone.layers.0.blocks.7.attn.qkv.weight', for" in capsys.readouterr().err


def test_more_tensors_than_any_model(tmp_path):
    one = tensor_code(STORAGE, 0, (1,), (1,)).code + b"q\x00"
    names = b"".join(text(b"s_spatial_clas.%d" % i) + b"h\x00" for i in range(5_001))
    path = save_zip(
        tmp_path / "x.pth", {"model": Raw(b"}(" + text(b"w") + one + names + b"u")}, replace={"data/0": bytes(4)}
    )
    assert "holds 5,002 tensors" in looked_at(path)


def test_zip_bombs_and_overlaps(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10_000_000))
    assert "is compressed" in looked_at(tmp_path / "x.pth")
    # Two entries that claim the same bytes.
    data = save_zip(tmp_path / "x.pth", {"w": np.ones(4, np.float32), "v": np.ones(4, np.float32)}).read_bytes()
    at = [data.index(b"PK\x01\x02")]
    while (following := data.find(b"PK\x01\x02", at[-1] + 1)) > 0:
        at.append(following)
    headers = bytearray(data)
    for entry in at:
        headers[entry + 42 : entry + 46] = bytes(4)
    (tmp_path / "x.pth").write_bytes(headers)
    looked_at(tmp_path / "x.pth")


@pytest.mark.parametrize(
    "header",
    [
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        b'{"__metadata__":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        b'{"\\u001b[31m\\nOK":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}',
        b'{"\\u001b[31m\\nOK":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        b'{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]}}',
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,' + b"9" * 5_000 + b"]}}",
        json.dumps({f"{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(10_000)}).encode(),
    ],
    ids=range(7),
)
def test_headers_of_safetensors(header, tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    looked_at(path)
    path.write_bytes(struct.pack("<Q", 2**39) + header)
    looked_at(path)


def test_legacy_files_share_one_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(pickle_rules, "_FREE_WORK", 1_000)
    parts = [pickle.dumps(value, 2) for value in (MAGIC_NUMBER, LEGACY_VERSION, {})]
    many = two(b"(" + b"N" * 9_000 + b"l")
    for content in ((many, two(b"]")), (two(b"}"), many)):
        (tmp_path / "x.pth").write_bytes(b"".join([*parts, *content]))
        assert "steps to describe its contents" in looked_at(tmp_path / "x.pth")
