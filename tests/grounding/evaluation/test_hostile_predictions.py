"""Predictions and records in other encodings, with values of other types, and with text that no terminal can show."""

from __future__ import annotations

import codecs
import copy
import json

import pytest

from stvg_jax.cli import main
from stvg_jax.core.errors import InputError
from stvg_jax.eval.records import write_records
from stvg_jax.grounding.evaluation.records import Record, read_records
from stvg_jax.grounding.evaluation.result_files import read_results
from stvg_jax.grounding.evaluation.scoring import score_results
from tests.data_pipeline.annotations.folders import generic_file, generic_sample, write_json
from tests.data_pipeline.annotations.test_wrong_types import OTHERS, changed, is_told, places
from tests.grounding.evaluation.cases import make_sample, make_set

RESULTS = {
    "predictions": {"0": {"10": [[100, 50, 140, 110]]}},
    "video_predictions": {"0": {"sted": [10, 20], "qtype": "declar"}},
    "vid_metrics": {"0": {"tiou": 1.0}},
}
DEEP = "[" * 900 + "]" * 900


def told(results) -> str:
    with pytest.raises(InputError) as caught:
        results.problems.raise_all("wrong")
    return str(caught.value)


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF32_BE])
def test_byte_order_marks(tmp_path, mark, capsys):
    encoding = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF32_BE: "utf-32-be"}[mark]
    results = {"predictions": {"one": {"3": [10, 20, 40, 60], "4": [11, 21, 41, 61]}}}
    results["video_predictions"] = {"one": {"sted": [3, 5]}}
    (tmp_path / "p.json").write_bytes(mark + json.dumps(results).encode(encoding))
    (tmp_path / "test.json").write_bytes(mark + json.dumps(generic_file()).encode(encoding))
    options = ["--dataset", "json", "--annotations", str(tmp_path / "test.json"), "--out", str(tmp_path / "out")]
    assert main(["score", str(tmp_path / "p.json"), *options]) == 0
    scored = json.loads((tmp_path / "out" / "metrics.json").read_text())["results"]["declarative"]
    assert scored["gt_m_vIoU"] == 1.0


def test_a_mark_before_records(tmp_path):
    records = make_set(2)[1]
    write_records(tmp_path / "r.jsonl", records)
    path = tmp_path / "marked.jsonl"
    path.write_bytes(codecs.BOM_UTF8 + (tmp_path / "r.jsonl").read_bytes())
    assert [record.to_line() for record in read_records(path)] == [record.to_line() for record in records]


def test_predictions_that_are_no_text(tmp_path):
    (tmp_path / "p.json").write_bytes(b'{"predictions": {"caf\xe9": {}}}')
    with pytest.raises(InputError, match=r"UTF-8: byte 21 cannot be read \(0xe9"):
        read_results(tmp_path / "p.json")


def test_other_types_in_predictions(tmp_path):
    truths = [make_sample("0")]
    for at in places(RESULTS):
        for new in [*OTHERS, 2**53, "10", 1e300]:
            path = write_json(tmp_path / "p.json", changed(RESULTS, at, new))
            is_told(lambda path=path: score_results(read_results(path), truths))
    for frame in ("1_0", "\u0661", "9" * 5000, "", "1.0", "\ud83d"):
        content = changed(RESULTS, ("predictions", "0"), {frame: [1, 2, 3, 4]})
        message = told(read_results(write_json(tmp_path / "p.json", content)))
        assert "frames that are not whole numbers (1): 0" in message and len(message) < 200


@pytest.mark.parametrize(
    ("at", "new", "message"),
    [
        (("predictions", "0", "10"), ["1", "2", "3", "4"], "boxes that are not four numbers (1): 0 (frame 10: ['1', "),
        (("predictions", "0", "10"), [1, True, 3, 4], "boxes that are not four numbers (1): 0 (frame 10: [1, True"),
        (("predictions", "0", "10"), [1, 10**400, 3, 4], "boxes that are not four numbers (1): 0 ("),
        (("predictions", "0", "10"), {"a": [[[[]]]]}, "boxes that are not four numbers (1): 0 (frame 10: (('a', [...]"),
        (("predictions", "0", "10"), [1, 2, 3, 4, 5], "boxes that are not four numbers (1): 0 (frame 10: 5 values)"),
        (("video_predictions", "0", "sted"), [1, 2, 3], "intervals that are not [first frame, one past the last]"),
        (("video_predictions", "0", "sted"), [0, 2**53 + 1], "intervals that are not [first frame, one past the last]"),
        (("video_predictions", "0", "sted"), [0, 10**400], "intervals that are not [first frame, one past the last]"),
        (("video_predictions", "0", "sted"), "\x1b[31m" * 10**6, r"(1): 0 ('\x1b[31m"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, at, new, message):
    results = read_results(write_json(tmp_path / "p.json", changed(RESULTS, at, new)))
    assert not results.predictions
    assert message in told(results) and len(told(results)) < 1000


def test_the_largest_frame_is_read(tmp_path):
    results = read_results(
        write_json(tmp_path / "p.json", changed(RESULTS, ("video_predictions", "0", "sted"), [0, 2**53]))
    )
    assert results.predictions["0"].interval == (0, 2**53)


def test_deep_and_repeated_values(tmp_path):
    text = json.dumps(RESULTS)
    for old, new in (("[[100, 50, 140, 110]]", DEEP), ("[10, 20]", DEEP), ('"declar"', DEEP)):
        (tmp_path / "p.json").write_text(text.replace(old, new))
        is_told(lambda: score_results(read_results(tmp_path / "p.json"), [make_sample("0")]))
    (tmp_path / "p.json").write_text(text.replace('"sted": [10, 20]', '"sted": [10, 20], "sted": [1, 2]'))
    assert "keys given twice (1): 0 (sted)" in told(read_results(tmp_path / "p.json"))


def test_ids_are_shown_without_control_characters(tmp_path):
    key = "\x1b[31m\nOK: converted" + "x" * 10**6
    content = {"predictions": {key: {"1": [1, 2, 3, 4]}, "a\ud83d": {}}, "video_predictions": {}}
    lines = told(read_results(write_json(tmp_path / "p.json", content))).splitlines()
    assert all(line.isprintable() and len(line) < 1000 for line in lines)
    assert any(r"boxes without an interval (1): \x1b[31m\nOK: converted" in line for line in lines)
    assert any(r"ids in which a character was cut in two (a lone surrogate) (1): a\ud83d" in line for line in lines)
    unknown = read_results(
        write_json(tmp_path / "p.json", json.loads(json.dumps(RESULTS).replace('"0":', json.dumps(key) + ":")))
    )
    with pytest.raises(InputError) as caught:
        score_results(unknown, [make_sample("0")])
    assert all(line.isprintable() and len(line) < 1000 for line in str(caught.value).splitlines())


def test_ids_of_any_text_are_written_and_read_again(tmp_path):
    from stvg_jax.grounding.evaluation.result_files import write_results

    samples, records = make_set(3)
    names = ["a\nb\x1b[31m", "\u202e<b>&\"'", "猫 \ufffd"]
    records = [Record(**{**vars(r), "id": name}) for r, name in zip(records, names, strict=True)]
    truths = {name: make_sample(name, s.tube) for name, s in zip(names, samples.values(), strict=True)}
    write_results(tmp_path / "r.json", records, truths, apart=False)
    write_records(tmp_path / "r.jsonl", records)
    assert list(read_results(tmp_path / "r.json").predictions) == names
    assert [record.id for record in read_records(tmp_path / "r.jsonl")] == names
    assert (tmp_path / "r.json").read_bytes().isascii()


@pytest.mark.parametrize(
    "change",
    [
        {"id": 0}, {"sentence": None}, {"width": "320"}, {"width": 1e300}, {"height": True}, {"start_frame": 1.5},
        {"end_frame": 10**400}, {"tiou": "1"}, {"viou": None}, {"tiou": float("nan")}, {"frames": 3}, {"frames": [0.5]},
        {"frames": [True]}, {"frames": [10**30]}, {"boxes": {}}, {"boxes": [[1, 2, 3, "4"]]},
        {"boxes": [[1, [2], 3, 4]]}, {"boxes": [[1, 2, 3, float("inf")]]}, {"boxes": [[1, 2, 3, 1e300]]},
        {"scores": None}, {"scores": []},
        {"scores": {"pass": []}},
    ],
    ids=str,
)  # fmt: skip
def test_a_record_with_a_value_of_another_type_is_damaged(tmp_path, change):
    fields = json.loads(make_set(1)[1][0].to_line())
    with pytest.raises(ValueError):
        Record.from_line(json.dumps(fields | change))
    scores = copy.deepcopy(fields["scores"])
    scores["start"] = scores["start"][:-1]
    with pytest.raises(ValueError, match="as many scores of each kind"):
        Record.from_line(json.dumps(fields | {"scores": scores}))


def test_an_identity_too_deep_to_compare_is_named(tmp_path):
    from stvg_jax.eval.records import check_identity

    deep = '{"a": ' * 800 + "1" + "}" * 800
    (tmp_path / "identity.json").write_text(f'{{"schema": "stvg_jax.records/1", "identity": {deep}}}')
    with pytest.raises(InputError, match=r"identity.json cannot be read|another evaluation"):
        check_identity(tmp_path, {"a": 1})
    (tmp_path / "identity.json").write_text(
        json.dumps({"schema": "stvg_jax.records/1", "identity": {"a": "\x1b" * 9999}})
    )
    with pytest.raises(InputError, match=r"another evaluation: a is") as caught:
        check_identity(tmp_path, {"a": 1})
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000


def test_a_key_that_occurs_twice_among_many_ends_the_command(tmp_path, capsys):
    many = {str(i): 1 for i in range(3000)}
    text = json.dumps(generic_file(generic_sample(**many))).replace('"2999": 1', '"2999": 1, "7": 1')
    (tmp_path / "t.json").write_text(text)
    path = write_json(tmp_path / "p.json", RESULTS)
    assert main(["score", str(path), "--dataset", "json", "--annotations", str(tmp_path / "t.json")]) == 2
    assert "duplicate key (1):" in capsys.readouterr().err
