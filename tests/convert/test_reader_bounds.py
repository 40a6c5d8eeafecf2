"""Readers at their bounds, and just beyond them."""

import contextlib
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from stvg_jax.convert.convert_file import summary
from stvg_jax.convert.readers import open_checkpoint, pickle_rules, sha256, tensors
from stvg_jax.core.errors import InputError
from tests.torch_files import Name, Object, Raw, save_legacy, save_zip, tensor_code


def tree(path, code: bytes):
    """The contents of a pickle with these opcodes between its header and its end."""
    with open_checkpoint(save_zip(path / "c.pth", pickle_bytes=b"\x80\x02" + code + b".")) as checkpoint:
        return checkpoint.tree


def refuse(path, code: bytes):
    with pytest.raises(InputError):
        tree(path, code)


def name_of(length: int) -> bytes:
    """A class whose module and name have as many letters together."""
    return b"c" + b"m" * (length - 1) + b"\nC\n"


def integer(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8b" + struct.pack("<i", len(data)) + data


def nested(depth: int) -> bytes:
    return b"]" * depth + b"a" * (depth - 1)


def as_key(code: bytes) -> bytes:
    return b"}" + code + b"Ns"


AT_MOST = {
    "letters of a name": (name_of, pickle_rules.MAX_NAME),
    "bits of an integer": (lambda bits: integer(2**bits - 1), pickle_rules.MAX_INT_BITS),
    "lists in lists": (nested, pickle_rules.MAX_DEPTH),
    "open marks": (lambda marks: b"(" * marks + b"1" * marks + b"N", pickle_rules.MAX_MARKS),
    "an integer key": (lambda key: as_key(integer(key)), 2**61 - 2),
    "a negative integer key": (lambda key: as_key(integer(-key)), 2**61 - 2),
    "sizes of a tensor": (lambda sizes: as_tensor((1,) * sizes, (1,) * sizes), tensors.MAX_DIMS),
    "elements from one": (lambda count: as_tensor((count,), (0,)), tensors.MAX_EXPANDED_BYTES // 4),
    "elements of a storage": (lambda count: as_tensor((count,), (1,)), 4),
    "the last of a storage": (lambda offset: as_tensor((1,), (1,), offset), 3),
}


def as_tensor(shape: tuple, strides: tuple, offset: int = 0) -> bytes:
    """Over a storage of four numbers."""
    return tensor_code(("storage", Name("torch.FloatStorage"), "0", "cpu", 4), offset, shape, strides).code


@pytest.mark.parametrize("what", AT_MOST)
def test_bounds_are_included(tmp_path, what):
    make, most = AT_MOST[what]

    def save(number):
        code = b"\x80\x02" + make(number) + b"."
        return save_zip(tmp_path / "c.pth", pickle_bytes=code, replace={"data/0": bytes(16)})

    open_checkpoint(save(most)).close()
    with pytest.raises(InputError):
        open_checkpoint(save(most + 1))


def test_steps_are_counted_one_by_one(tmp_path, monkeypatch):
    """PROTO, a mark, 98 values, a tuple and STOP are 102 opcodes."""
    values = b"(" + b"N" * 98 + b"t"
    monkeypatch.setattr(pickle_rules, "MAX_WORK", 102)
    tree(tmp_path, values)
    # A call costs its arguments too.
    monkeypatch.setattr(pickle_rules, "MAX_WORK", 104)
    with pytest.raises(InputError, match="more than 104 steps"):
        tree(tmp_path, name_of(5) + values + b"R")
    monkeypatch.setattr(pickle_rules, "MAX_WORK", 101)
    with pytest.raises(InputError, match="more than 101 steps"):
        tree(tmp_path, values)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (b"K\x01K\x020", 1),
        (b"K\x07(K\x01K\x021", 7),
        (b"K\x07(0", 7),
        (b"K\x05q\x000h\x00", 5),
        (b"K\x01\x85", (1,)),
        (b"K\x01K\x02\x86", (1, 2)),
        (b"K\x01K\x02K\x03\x87", (1, 2, 3)),
        (b"K\x01K\x022\x87", (1, 2, 2)),
        (b"(K\x01K\x02d", {1: 2}),
        (b"}K\x01K\x02s", {1: 2}),
        (b"](K\x01K\x02e", [1, 2]),
        (b"]K\x01a", [1]),
        (b"(K\x01K\x02l", [1, 2]),
        (b"\x88\x89\x86", (True, False)),
        (b")N\x86", ((), None)),
    ],
)
def test_opcodes_do_what_pickle_says(tmp_path, code, expected):
    found = tree(tmp_path, code)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "code", [b"K\x01K\x02}s", b"}(K\x01u", b"]}K\x01s", b"\x85", b"K\x01\x86", b"h\x00", b"K\x01K\x02R"]
)
def test_opcodes_without_what_they_need(tmp_path, code):
    refuse(tmp_path, code)


def test_an_encrypted_entry_is_refused(tmp_path):
    path = save_zip(tmp_path / "c.pth", {"a": np.ones(4, np.float32)})
    data = bytearray(path.read_bytes())
    # The flags of the first entry in the directory: its bit 0 says that the content is encrypted.
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="is encrypted"):
        open_checkpoint(path)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are listed on Linux alone")
def test_a_file_that_is_refused_is_closed(tmp_path):
    path = tmp_path / "c.pth"
    path.write_bytes(b"no checkpoint")

    def is_open():
        return any(os.path.realpath(fd) == str(path) for fd in Path("/proc/self/fd").iterdir())

    with pytest.raises(InputError) as refused:  # kept: the file would close with the traceback that holds it
        open_checkpoint(path)
    assert not is_open()
    with open_checkpoint(save_legacy(path, {"a": 1})):
        assert is_open()
    sha256(path)
    assert not is_open()
    assert refused.value


def test_a_storage_is_checked_once(tmp_path, monkeypatch):
    base = np.arange(1000, dtype=np.float32)
    path = save_zip(tmp_path / "c.pth", {"part": base[10:20], "whole": base, "again": base[5:]})
    checked, crc32 = [], zlib.crc32
    with open_checkpoint(path) as checkpoint:
        monkeypatch.setattr(zlib, "crc32", lambda data, *before: checked.append(len(data)) or crc32(data, *before))
        read = {name: tensor.read() for name, tensor in checkpoint.tree.items()}
    assert checked == [base.nbytes]
    np.testing.assert_array_equal(read["part"], base[10:20])
    np.testing.assert_array_equal(read["again"], base[5:])


@pytest.mark.parametrize("elements", [2**18, 2**18 + 1, 2**19])
def test_large_storages_are_checked_in_pieces(tmp_path, elements):
    """Pieces of 2**20 bytes."""
    base = np.arange(elements, dtype=np.float32)
    with open_checkpoint(save_zip(tmp_path / "c.pth", {"part": base[:5], "all": base})) as checkpoint:
        np.testing.assert_array_equal(checkpoint.tree["part"].read(), base[:5])


def test_a_bool_is_true_or_false_whatever_its_byte(tmp_path):
    path = save_zip(tmp_path / "c.pth", {"a": np.array([True, False, True])}, replace={"data/0": b"\x02\x00\x80"})
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.tree["a"].read().view(np.uint8).tolist() == [1, 0, 1]


def test_a_report_in_a_few_lines():
    report = {
        "format": "ta_stvg",
        "weights": "model_ema",
        "is_ema": True,
        "wrapping": {"prefix": "", "parts": {}},
        "settings": {},
        "nonfinite": {},
        "tensors_taken": 1234,
        "parameters_written": 1300,
        "values_written": 208_460_000,
        "dropped": {"a": "a counter", "b": "unused", "c": "a counter"},
        "aliases": {"d": "e", "f": "e"},
    }
    lines = [
        "ta_stvg from model_ema (moving average)",
        "1234 tensors -> 1300 parameters, 208.5 M values",
        "dropped    2: a counter",
        "dropped    1: unused",
        "2 second names, equal to the first",
    ]
    assert summary(report).splitlines() == lines
    plain = summary(report | {"is_ema": False, "verified": 1300}).splitlines()
    assert plain[0] == "ta_stvg from model_ema (plain weights)"
    assert plain[-1] == "verified: 1300 parameters read back and equal"


def test_keyword_arguments_stand_behind_the_others(tmp_path):
    """NEWOBJ_EX of an unknown class."""
    call = b"ca\nB\nK\x01\x85}"
    found = tree(tmp_path, call + b"X\x01\x00\x00\x00kK\x02s\x92")
    assert (found.name, found.args) == ("a.B", (1, {"k": 2}))
    assert tree(tmp_path, call + b"\x92").args == (1,)


def test_fortran_order_and_byte_order_of_numpy_arrays(tmp_path):
    def dtype(code, order):
        return Object("numpy.dtype", (code, False, True), state=(3, order, None, None, None, -1, -1, 0))

    raw = np.arange(6, dtype=">i2")
    for fortran in (False, True):
        state = (1, (2, 3), dtype("i2", ">"), fortran, raw.tobytes())
        content = Object("numpy.core.multiarray._reconstruct", (Name("numpy.ndarray"), (0,), b"b"), state=state)
        with open_checkpoint(save_zip(tmp_path / "c.pth", {"a": content, "none": Raw(b"N")})) as checkpoint:
            found = checkpoint.tree["a"].read()
        np.testing.assert_array_equal(found, raw.reshape((2, 3), order="F" if fortran else "C"))
        assert found.dtype == np.int16


@pytest.mark.parametrize(
    "dtype", [Object("other.dtype", ("f8",)), Name("numpy.dtype"), Object("numpy.dtype", ("O8",)), "f8"]
)
def test_numbers_of_an_unknown_dtype_stay_what_they_are(dtype, tmp_path):
    number = Object("numpy.core.multiarray.scalar", (dtype, struct.pack("<d", 0.25)))
    with open_checkpoint(save_zip(tmp_path / "c.pth", {"a": number})) as checkpoint:
        found = checkpoint.tree["a"]
    assert (found.name, found.args[1]) == ("numpy.generic", struct.pack("<d", 0.25))


def test_a_class_beside_its_source_is_that_class(tmp_path):
    """As torch.save writes modules: ("module", class, file, source), by a persistent id."""
    found = tree(tmp_path, b"(X\x06\x00\x00\x00moduleca\nB\nNNtQ")
    assert (found.name, found.args) == ("a.B", None)
    assert repr(found) == "Opaque('a.B')"


def test_arguments_that_are_copied_are_work(tmp_path, monkeypatch):
    """101 opcodes for 95 arguments, which NEWOBJ_EX copies and the call takes."""
    code = b"ca\nB\n(" + b"N" * 95 + b"t}K\x01K\x01s\x92"
    monkeypatch.setattr(pickle_rules, "MAX_WORK", 101 + 95 + 50)
    with pytest.raises(InputError, match="more than 246 steps"):
        tree(tmp_path, code)
    monkeypatch.setattr(pickle_rules, "MAX_WORK", 2_000)
    assert len(tree(tmp_path, code).args) == 96


def test_tensors_say_what_they_are_without_being_read(tmp_path):
    with open_checkpoint(save_zip(tmp_path / "c.pth", {"a": np.ones((2, 3), np.float16)})) as checkpoint:
        tensor = "TensorRef(shape=(2, 3), dtype=float16)"
        assert repr(checkpoint.tree["a"]) == tensor
        assert (
            repr(checkpoint) == f"Checkpoint(path={checkpoint.path!r}, container='torch-zip', tree={{'a': {tensor}}})"
        )


def test_sizes_and_bytes_spelled_as_text_are_work(tmp_path, monkeypatch):
    """A step for each size, and one for 64 letters; the rest of both pickles takes 200 steps at most."""
    sizes = b"ctorch\nSize\n(" + b"K\x01" * 90 + b"t\x85R"
    text = b"c_codecs\nencode\nX" + struct.pack("<I", 64_000) + b"x" * 64_000 + b"\x85R"
    for code, least, value in ((sizes, 180, (1,) * 90), (text, 1_000, b"x" * 64_000)):
        monkeypatch.setattr(pickle_rules, "MAX_WORK", least)
        with pytest.raises(InputError, match=f"more than {least:,} steps"):
            tree(tmp_path, code)
        monkeypatch.setattr(pickle_rules, "MAX_WORK", least + 200)
        assert tree(tmp_path, code) == value


def test_a_storage_that_is_part_of_another(tmp_path):
    """Six of ten numbers from the third on, as PyTorch 1 wrote them, and a tensor that begins with their second."""
    base = np.arange(10, dtype=np.float32)
    part = ("storage", Name("torch.FloatStorage"), "0", "cpu", 10, ("view", 2, 6))
    whole = (*part[:5], None)
    content = {"part": tensor_code(part, 1, (2, 2), (2, 1)), "whole": tensor_code(whole, 8, (2,), (1,))}
    with open_checkpoint(save_zip(tmp_path / "c.pth", content, replace={"data/0": base.tobytes()})) as checkpoint:
        np.testing.assert_array_equal(checkpoint.tree["part"].read(), [[3, 4], [5, 6]])
        np.testing.assert_array_equal(checkpoint.tree["whole"].read(), [8, 9])
    beyond = {"part": tensor_code(part, 6, (1,), (1,))}
    with pytest.raises(InputError):
        open_checkpoint(save_zip(tmp_path / "d.pth", beyond, replace={"data/0": base.tobytes()}))


@pytest.mark.parametrize(("state", "args"), [(b"N", ()), (b"K\x05", (5,))])
def test_old_objects_are_made_of_their_state(tmp_path, state, args):
    found = tree(tmp_path, b"ccopy_reg\n_reconstructor\n(ca\nB\nc__builtin__\nobject\n" + state + b"tR")
    assert (found.name, found.args) == ("a.B", args)


def test_tuples_of_integers_that_hash_alike_are_no_keys(tmp_path):
    """Python hashes integers modulo 2**61 - 1; a tuple of larger ones is refused, or not compared by its items."""
    with contextlib.suppress(InputError):
        assert tuple not in map(type, tree(tmp_path, as_key(integer(2**61 - 1) + b"\x85")))
