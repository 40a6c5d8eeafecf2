"""JSON in whatever encoding, with keys given twice, and beyond the limits of the decoder."""

import codecs
import json
import time

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.core.json_files import parse_json, read_json, read_text
from stvg_jax.data_pipeline.annotations.files import JsonFile

VALUE = {"name": "café – 猫 \U0001f600", "size": [1, 2.5]}
TEXT = json.dumps(VALUE, ensure_ascii=False)
ENCODINGS = {
    "utf-8": b"",
    "utf-8-sig": b"",
    "utf-16": b"",
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_encoding_that_the_first_bytes_tell(tmp_path, encoding):
    content = ENCODINGS[encoding] + TEXT.encode(encoding)
    (tmp_path / "t.json").write_bytes(content)
    assert read_json(tmp_path / "t.json") == VALUE
    assert {key: value for key, value, _ in JsonFile(tmp_path / "t.json").entries()} == VALUE
    assert parse_json(content) == VALUE


def test_a_mark_before_text(tmp_path):
    assert parse_json("\ufeff[1]") == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"a": "caf\u00e9"}'.encode("latin-1"),
            r"UTF-8: byte 10 cannot be read \(0xe9, in line 1\); save the file in",
        ),
        (b'{"a":\n "\xed\xa0\xbd"}', r"UTF-8: byte 8 cannot be read \(0xed, in line 2\)"),
        (codecs.BOM_UTF16_LE + b"[\x001", "UTF-16.*: byte 4 cannot be read"),
    ],
)
def test_bytes_that_are_no_text(tmp_path, content, message):
    (tmp_path / "t.json").write_bytes(content)
    for read in (read_text, read_json, JsonFile):
        with pytest.raises(InputError, match=message):
            read(tmp_path / "t.json")
    with pytest.raises(ValueError, match="decode"):
        parse_json(content)


@pytest.mark.parametrize("content", ["", " \n"])
def test_a_file_without_content(tmp_path, content):
    (tmp_path / "t.json").write_text(content)
    for read in (read_json, JsonFile):
        with pytest.raises(InputError, match="the file is empty"):
            read(tmp_path / "t.json")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" + "9" * 5000 + "]", "[1", '{"a": 1, "a": 2}'])
def test_what_cannot_be_read_is_a_value_error(tmp_path, text):
    with pytest.raises(ValueError):
        parse_json(text)
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(InputError, match=r"t\.json "):
        read_json(tmp_path / "t.json")


def test_the_key_that_occurs_twice_is_named_in_linear_time(tmp_path):
    pairs = ", ".join(f'"{i}": 1' for i in range(100_000))
    (tmp_path / "t.json").write_text(f'{{"a.mp4": {{{pairs}, "7": 1, "5": 1}}}}')
    start = time.process_time()
    ((key, value, duplicates),) = JsonFile(tmp_path / "t.json").entries()
    with pytest.raises(InputError, match="the key '5' occurs twice in one object"):
        read_json(tmp_path / "t.json")
    assert (key, len(value), duplicates) == ("a.mp4", 100_000, ["5", "7"])
    assert time.process_time() - start < 5  # comparing all keys with all takes minutes


def test_a_long_key_is_cut_in_the_message():
    key = "\x1b[31m" + "k" * 1_000_000
    with pytest.raises(ValueError, match=r"the key '\\x1b\[31mk{115}'\.\.\. occurs twice"):
        parse_json(f'{{"{key}": 1, "{key}": 2}}'.replace("\x1b", "\\u001b"))
