"""Reports of problems, and faults of JSON files."""

import json

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.core.json_files import read_json
from stvg_jax.data_pipeline.annotations import Problem, raise_problems
from stvg_jax.data_pipeline.annotations.files import JsonFile
from stvg_jax.data_pipeline.datasets.reading import read_annotations
from tests.data_pipeline.annotations.folders import hcstvg_entry, write_json


def test_no_problems_raise_nothing():
    assert raise_problems([], "nothing") is None


def test_few_problems_all_stand_in_the_message():
    problems = [Problem("a.json", "x", "rule 1", "one"), Problem("a.json", "y", "rule 2", "two")]
    with pytest.raises(InputError) as error:
        raise_problems(problems, "the files")
    assert str(error.value).splitlines() == [
        "2 problems in the files",
        "  rule 1 (1):",
        "    a.json: x: one",
        "  rule 2 (1):",
        "    a.json: y: two",
        "correct these entries",
    ]


def test_every_part_of_a_message_is_bounded():
    """A problem may be about a video, whose name is as long as a file says."""
    with pytest.raises(InputError) as error:
        raise_problems([Problem("x" * 100_000, "y" * 100_000, "rule", "z" * 100_000)], "the files")
    assert len(str(error.value)) < 2000


def test_many_problems_are_grouped_and_all_in_the_report(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    problems = [Problem("a.json", f"entry\t{i}", "box reversed", f"value {i}") for i in range(50)]
    with pytest.raises(InputError) as error:
        raise_problems([Problem("b.json", "z", "rare", "once"), *problems], "the files")
    lines = str(error.value).splitlines()
    assert lines[1:3] == ["  box reversed (50):", "    a.json: entry\t0: value 0"]
    assert lines[5] == "    ... and 47 more"
    assert "  rare (1):" in lines
    (report,) = tmp_path.iterdir()
    assert f"all of them: {report}" in lines
    rows = [line.split("\t") for line in report.read_text().splitlines()]
    assert rows[0] == ["file", "entry", "rule", "detail"]
    assert rows[1] == ["b.json", "z", "rare", "once"]
    assert rows[51] == ["a.json", "entry 49", "box reversed", "value 49"]
    assert len(rows) == 52


def test_problems_of_all_entries_and_rules_are_told_together(tmp_path):
    entries = {
        "a.mp4": hcstvg_entry(caption="", width="wide"),
        "b.mp4": hcstvg_entry(st_frame=19),
        "c.mp4": hcstvg_entry(bbox=[[200, 1, 5, 5], [3, 3, -1, 5], [1, 1, 1, 0]]),
        "d.mp4": 7,
    }
    with pytest.raises(InputError) as error:
        read_annotations("hcstvg", write_json(tmp_path / "t.json", entries), split="train")
    message = str(error.value)
    assert message.startswith("7 problems in the annotations in ")
    for rule in (
        "empty sentence",
        "not a number",
        "tube longer",
        "box outside",
        "box reversed",
        "box without area",
        "wrong type",
    ):
        assert f"  {rule}" in message
    assert "--on-problem exclude" in message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "line 1, column 1"),
        ("7", "line 1, column 1"),
        ('{"a": 1,\n "b" 2}', "line 2, column 6"),
        ('{"a": 1\n "b": 2}', "line 2, column 2"),
        ('{"a": 1,}', "line 1, column 9"),
        ("[1, 2,]", "line 1, column 7"),
        ('{"a": [1, }', "line 1, column 11"),
        ('{"a": 1', "line 1, column 8"),
        ("[1]\n[2]", "line 2, column 1"),
        ("{a: 1}", "line 1, column 2"),
    ],
)
def test_broken_json_is_told_with_line_and_column(tmp_path, text, place):
    file = tmp_path / "t.json"
    file.write_text(text)
    with pytest.raises(InputError, match=f"t.json is not JSON at {place}"):
        list(JsonFile(file).entries())


@pytest.mark.parametrize("value", [{}, [], {"a": {"b": [1, {"c": None}]}, "": "ü\n"}, [[], {"x": 1.5}, "s", True]])
def test_entries_are_those_of_the_json_module(tmp_path, value):
    for indent in (None, 2):
        file = tmp_path / "t.json"
        file.write_text(f"\ufeff {json.dumps(value, indent=indent)} \n", encoding="utf-8")
        entries = [(key, item) for key, item, duplicates in JsonFile(file).entries() if duplicates == []]
        expected = value.items() if isinstance(value, dict) else ((str(i), item) for i, item in enumerate(value))
        assert entries == list(expected)
        assert read_json(file) == value


def test_other_unreadable_files(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        read_json(tmp_path / "none.json")
    (tmp_path / "binary.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(InputError, match="byte 7 cannot be read"):
        JsonFile(tmp_path / "binary.json")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match="deep.json cannot be read as JSON: maximum recursion"):
        list(JsonFile(tmp_path / "deep.json").entries())
