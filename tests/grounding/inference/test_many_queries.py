"""Files of questions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.grounding.inference import queries
from stvg_jax.grounding.inference.queries import Query, read_queries


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "clips").mkdir()
    for name in ("a.mp4", "clips/b, c.mp4"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def write(folder, name, lines, end="\n"):
    path = folder / name
    path.write_bytes("".join(f"{line}{end}" for line in lines).encode())
    return path


def accept(query):
    pass


def test_a_table(folder, monkeypatch):
    lines = [
        "\ufeffsentence,video, start,end,subject",
        "the man,a.mp4,,,",
        '"the man, in red",./a.mp4,1.5,3,the man',
        '"two\nlines","clips/b, c.mp4",0,,',
        "",
        "the man,a.mp4,,,",
    ]
    video, other = str(folder / "a.mp4"), str(folder / "clips" / "b, c.mp4")
    expected = [
        Query(video, "the man"),
        Query(video, "the man, in red", "the man", 1.5, 3.0),
        Query(other, "two\nlines", start=0.0),
    ]
    assert read_queries(write(folder, "a.CSV", lines, end="\r\n"), accept) == expected
    monkeypatch.chdir(write(folder, "a.csv", lines).parent)
    assert read_queries(Path("a.csv"), accept) == expected


def test_json_lines(folder):
    rows = [
        {"video": "a.mp4", "sentence": "the man\u2028in red"},
        {"video": str(folder / "a.mp4"), "sentence": "the man", "subject": None, "start": 1, "end": 2.5},
    ]
    path = write(folder, "a.jsonl", [json.dumps(rows[0], ensure_ascii=False), " ", json.dumps(rows[1])])
    video = str(folder / "a.mp4")
    assert read_queries(path, accept) == [Query(video, "the man\u2028in red"), Query(video, "the man", None, 1.0, 2.5)]


def test_all_bad_rows_are_listed_with_their_lines(folder):
    def check(query):
        if query.sentence == "...":
            raise InputError("no words")

    lines = ["video,sentence,start,end", "a.mp4,the man, in red", "b.mp4,the man,,", "a.mp4,...,,", "a.mp4,the man,x,"]
    lines += ["a.mp4,the man,,", "a.mp4,the man,2,1", "a.mp4,the man,nan,", ",the man,,", "a.mp4,the man", 'a.mp4,"the']
    with pytest.raises(InputError) as error:
        read_queries(write(folder, "a.csv", lines), check)
    assert str(error.value).splitlines() == [
        f"{folder / 'a.csv'}: 9 rows cannot be used; mend them",
        "  line 2: it has 3 values for 4 columns; put a sentence with a comma in double quotes",
        f"  line 3: video '{folder / 'b.mp4'}': no such file",
        "  line 4: no words",
        "  line 5: start 'x': must be a number of seconds",
        "  line 7: seconds 2:1 hold nothing; begin at 0 or later, and end after that",
        "  line 8: start nan: must be a finite number of seconds, 0 or more",
        "  line 9: video '': must be the path of a file or folder",
        "  line 10: it has 2 values for 4 columns; put a sentence with a comma in double quotes",
        "  line 12: it is not CSV: unexpected end of data",
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "line 1: Expecting property name"),
        ("[]", "line 1: it must be an object, not list"),
        ('{"video": "a.mp4"}', "line 1: it has no 'sentence'"),
        ('{"video": "a.mp4", "sentence": 5}', "line 1: its 'sentence' is of type int"),
        ('{"video": "a.mp4", "sentence": "x", "start": true}', "line 1: its 'start' is of type bool"),
        ('{"video": "a.mp4", "sentence": "x", "end": Infinity}', "line 1: end inf: must be a finite"),
        (
            '{"video": "a.mp4", "sentence": "x", "begin": 1}',
            "line 1: unknown key 'begin'; the keys are video",
        ),
        ('{"video": "a.mp4", "sentence": "x", "sentence": "y"}', "line 1: the key 'sentence' occurs twice"),
        (r'{"video": "\u0000", "sentence": "x"}', r"line 1: video '\\x00': must be the path"),
        (r'{"video": "\ud83d", "sentence": "x"}', "line 1: video .*: no such file"),
    ],
)
def test_bad_json_lines(folder, row, message):
    with pytest.raises(InputError, match=message):
        read_queries(write(folder, "a.jsonl", [row]), accept)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "its first line is .*; it must name the columns video and sentence"),
        ("video;sentence", "its first line is 'video;sentence'; .* divided by commas"),
        ("video,sentence,begin", "its first line is 'video,sentence,begin'"),
        ("video,sentence,video", "each once"),
        ("video,sentence", "has no question"),
        ('"video"x,sentence', "line 1 is not CSV"),
    ],
)
def test_bad_headers(folder, header, message):
    with pytest.raises(InputError, match=message):
        read_queries(write(folder, "a.csv", [header]), accept)


def test_what_is_no_file_of_questions(folder, monkeypatch):
    with pytest.raises(InputError, match=r"a.txt: questions are read from a .csv or .jsonl file"):
        read_queries(folder / "a.txt", accept)
    with pytest.raises(InputError, match=r"a.csv: no such file"):
        read_queries(folder / "a.csv", accept)
    (folder / "b.csv").mkdir()
    with pytest.raises(InputError, match=r"b.csv: not a file"):
        read_queries(folder / "b.csv", accept)
    (folder / "c.csv").write_bytes(b"video,sentence\na.mp4,\xff")
    with pytest.raises(InputError, match=r"c.csv is not a text file in UTF-8: .* in line 2"):
        read_queries(folder / "c.csv", accept)
    path = write(folder, "d.csv", ["video,sentence", "a.mp4,x"])
    monkeypatch.setattr(queries, "_MAX_BYTES", 10)
    with pytest.raises(InputError, match="has 23 bytes, and at most 10 are read; divide it"):
        read_queries(path, accept)


def test_long_lists_of_problems_are_cut(folder):
    with pytest.raises(InputError) as error:
        read_queries(write(folder, "a.jsonl", ["{"] * 1000), accept)
    lines = str(error.value).splitlines()
    assert len(lines) == 22
    assert lines[-1] == "  and 980 more"
