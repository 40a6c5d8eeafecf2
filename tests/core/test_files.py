"""Files that appear whole, and files of JSON lines, of which every changed bit is told with its line."""

from __future__ import annotations

import hashlib
import os
import sys

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.core.files import (
    append_line,
    in_utf8,
    iter_sealed_lines,
    read_json_lines,
    sealed_line,
    whole_file,
    whole_path,
)

RECORDS = [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 1e-05, "rate/base": 0.0002}]


def test_sealed_lines_are_json_and_are_read_without_their_seals(tmp_path):
    (tmp_path / "a").write_text("".join(map(sealed_line, RECORDS)))
    assert read_json_lines(tmp_path / "a", {"step": int}) == RECORDS
    digest = hashlib.sha256(b'{"step": 1, "loss": 2.5}').hexdigest()
    assert sealed_line(RECORDS[0]) == f'{{"step": 1, "loss": 2.5, "sha256": "{digest}"}}\n'


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("may_be_cut", [False, True])
def test_every_flipped_bit_is_told(tmp_path, count, may_be_cut):
    path, whole = tmp_path / "a", "".join(map(sealed_line, RECORDS[:count])).encode()
    for place in range(len(whole) * 8):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"^line [12] of .* is damaged: "):
            read_json_lines(path, {"step": int}, may_be_cut=may_be_cut)


def test_a_kill_cuts_the_last_line_short_and_nothing_else(tmp_path):
    path, (first, last) = tmp_path / "a", map(sealed_line, RECORDS)
    for length in range(len(last)):
        path.write_text(first + last[:length])
        # Without the line's end alone it is whole.
        whole = RECORDS[: 1 + (length == len(last) - 1)]
        assert read_json_lines(path, {}, may_be_cut=True) == whole, length


def test_files_of_earlier_versions_have_no_seals(tmp_path):
    old = '{"step": 1, "loss": 2.5}\n'
    (tmp_path / "a").write_text(old)
    assert read_json_lines(tmp_path / "a", {"step": int}) == RECORDS[:1]
    (tmp_path / "a").write_text(sealed_line(RECORDS[1]) + old)
    with pytest.raises(InputError, match=r"^line 2 of .* is damaged: it does not end in the checksum"):
        read_json_lines(tmp_path / "a", {"step": int})


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    with pytest.raises(KeyError), whole_path(path) as partial:
        partial.write_bytes(b"half")
        raise KeyError
    assert path.read_bytes() == b"before"
    with pytest.raises(FileNotFoundError), whole_path(path):
        pass
    with whole_path(path) as one, whole_path(path) as other:
        assert one != other
        one.write_bytes(b"one")
        other.write_bytes(b"other")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_text_file_escapes_what_utf_8_cannot_write(tmp_path):
    with whole_file(tmp_path / "a.txt") as file:
        file.write("\ud83d é\n")
    assert (tmp_path / "a.txt").read_bytes() == "\\ud83d é\n".encode()


def test_a_folder_of_any_bytes_has_a_name_that_is_text(tmp_path):
    with in_utf8(tmp_path) as folder:
        assert folder == tmp_path
    if sys.platform != "linux":
        pytest.skip("a file name is text here")
    odd = tmp_path / os.fsdecode(b"a\xff")
    (odd / "b").mkdir(parents=True)
    with in_utf8(odd / "b") as folder:
        (folder / "c").write_text(str(folder))
    assert (odd / "b" / "c").read_text().encode().decode()
    assert not folder.exists() and not folder.is_symlink()


def test_lines_are_added_after_a_line_that_was_cut(tmp_path):
    path = tmp_path / "a"
    assert list(iter_sealed_lines(path)) == []
    append_line(path, RECORDS[0])
    with path.open("ab") as file:
        file.write(sealed_line(RECORDS[1]).encode()[:-20])
    assert list(iter_sealed_lines(path)) == [RECORDS[0]]
    append_line(path, RECORDS[1])
    assert list(iter_sealed_lines(path)) == list(RECORDS[:2])
    assert path.read_text() == "".join(map(sealed_line, RECORDS[:2]))


def test_a_damaged_line_among_many_is_named(tmp_path):
    path = tmp_path / "a"
    for record in RECORDS[:2]:
        append_line(path, record)
    path.write_bytes(path.read_bytes().replace(b"2.5", b"2.6"))
    with pytest.raises(InputError, match="line 1 of .* is damaged: it does not end in the checksum"):
        list(iter_sealed_lines(path))
