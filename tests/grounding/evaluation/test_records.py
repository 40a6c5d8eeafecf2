"""Records: what is written is read again, whatever happens in between."""

import dataclasses
import json
import os

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.eval.records import RecordWriter, write_records
from stvg_jax.grounding.evaluation.records import Record, read_records
from stvg_jax.grounding.evaluation.scoring import score
from tests.grounding.evaluation.cases import make_prediction, make_sample, make_set

IDENTITY = {"checkpoint": "1f3a", "clip": {"resolution": 420, "sizes": (1, 2)}}


@pytest.fixture(scope="module")
def some():
    return make_set(6)


def lines(records):
    return [record.to_line() for record in records]


def ids(records):
    return [record.id for record in records]


def test_a_line_gives_the_record_back(some):
    for record in some[1]:
        again = Record.from_line(record.to_line())
        for name in ("id", "video", "sentence", "subject", "kind", "width", "height", "true_interval", "metrics"):
            assert getattr(again, name) == getattr(record, name)
        assert again.prediction.interval == record.prediction.interval
        np.testing.assert_array_equal(again.prediction.frames, record.prediction.frames)
        np.testing.assert_array_equal(again.prediction.boxes_xyxy, record.prediction.boxes_xyxy)
        assert again.prediction.boxes_xyxy.dtype == np.float32
        for field in dataclasses.fields(record.scores):
            np.testing.assert_array_equal(getattr(again.scores, field.name), getattr(record.scores, field.name))


def test_any_float32_survives_in_few_digits():
    bits = np.random.default_rng(0).integers(0, 2**31, 40_000, dtype=np.uint32)
    values = bits.view(np.float32)
    values = values[np.isfinite(values)][:20_000].reshape(-1, 4)
    record = dataclasses.replace(make_set(1)[1][0], prediction=make_prediction((0, 1), values, range(len(values))))
    line = record.to_line()
    np.testing.assert_array_equal(Record.from_line(line).prediction.boxes_xyxy, values)
    digits = [len(repr(v).split("e")[0].replace(".", "").strip("0")) for v in sum(json.loads(line)["boxes"], [])]
    assert max(digits) <= 9


def test_metrics_can_be_made_again_from_records_and_annotations(some):
    samples, records = some
    again = [Record.from_line(line) for line in lines(records)]
    measured = score({r.id: r.prediction.filled() for r in again}, list(samples.values())).metrics
    assert measured == {r.id: r.metrics for r in records}


def test_records_may_lack_scores(some):
    record = dataclasses.replace(some[1][0], scores=None)
    assert "scores" not in json.loads(record.to_line())
    assert Record.from_line(record.to_line()).scores is None


def test_lines_are_ascii_whatever_the_sentence():
    record = Record.of(make_sample(sentence="der größte \u2028 Hund\n\ud800 <b>"), make_prediction())
    line = record.to_line()
    assert line.isascii()
    assert "\n" not in line
    assert Record.from_line(line).sentence == record.sentence


def test_predictions_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="sample 7 are not finite"):
        Record.of(make_sample("7"), make_prediction(box=(0, 0, np.nan, 1)))


def test_writing_goes_on_after_an_interruption(some, tmp_path):
    _, records = some
    with RecordWriter(tmp_path / "a", IDENTITY) as writer:
        writer.append(records[:2])
        writer.append(records[2:3])
    with RecordWriter(tmp_path / "a", IDENTITY) as writer:
        assert ids(read_records(tmp_path / "a")) == ids(records[:3])
        writer.append(records[3:])
        # Before the file is closed: a kill now would lose nothing.
        assert lines(read_records(tmp_path / "a")) == lines(records)


def test_every_torn_end_is_left_out_and_written_again(some, tmp_path):
    """A kill can leave any part of the last line."""
    _, records = some
    whole = "".join(line + "\n" for line in lines(records[:3])).encode()
    start = len("".join(line + "\n" for line in lines(records[:2])))
    for cut in [start, start + 1, start + 40, (start + len(whole)) // 2, len(whole) - 2, len(whole) - 1, len(whole)]:
        folder = tmp_path / str(cut)
        with RecordWriter(folder, IDENTITY) as writer:
            writer.append(records[:3])
        os.truncate(folder / "part-00000.jsonl", cut)
        complete = 3 if cut >= len(whole) - 1 else 2
        assert ids(read_records(folder)) == ids(records[:complete])
        with RecordWriter(folder, IDENTITY) as writer:
            writer.append(records[complete:])
        assert lines(read_records(folder)) == lines(records)


def test_a_torn_first_line(some, tmp_path):
    _, records = some
    RecordWriter(tmp_path, IDENTITY).close()
    (tmp_path / "part-00000.jsonl").write_text(records[0].to_line()[:100])
    assert read_records(tmp_path) == []
    with RecordWriter(tmp_path, IDENTITY) as writer:
        writer.append(records)
    assert lines(read_records(tmp_path)) == lines(records)


def test_parts_of_several_processes_are_one_set(some, tmp_path):
    _, records = some
    for process in (1, 0):
        with RecordWriter(tmp_path, IDENTITY, process) as writer:
            writer.append(records[process::2])
    assert ids(read_records(tmp_path)) == ids(records[0::2] + records[1::2])


def test_an_answer_written_twice_is_taken_once(some, tmp_path):
    _, records = some
    for process in range(2):
        with RecordWriter(tmp_path, IDENTITY, process) as writer:
            writer.append(records)
    assert lines(read_records(tmp_path)) == lines(records)


def test_two_answers_to_one_sample_are_an_error(some, tmp_path):
    _, records = some
    other = dataclasses.replace(records[4], id=records[0].id)
    write_records(tmp_path / "r.jsonl", [*records[:2], other])
    with pytest.raises(InputError, match="sample 0 has two different answers, in line 1 of .* and line 3 of"):
        read_records(tmp_path / "r.jsonl")


@pytest.mark.parametrize("damage", [b"\0" * 50, b"{}", b'{"id": "0"}', b"[1, 2]", b"", b"null"])
def test_a_damaged_line_is_named(some, tmp_path, damage):
    path = tmp_path / "r.jsonl"
    path.write_bytes(
        "\n".join(lines(some[1][:1])).encode() + b"\n" + damage + b"\n" + lines(some[1])[1].encode() + b"\n"
    )
    with pytest.raises(InputError, match=r"line 2 of .*r.jsonl is damaged"):
        read_records(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"checkpoint": "77"}, 'checkpoint is "1f3a" there and "77" here;'),
        ({"clip": {"resolution": 224, "sizes": [1, 2]}}, "clip.resolution is 420 there and 224 here;"),
        ({"clip": {"resolution": 420}}, r"clip.sizes is \[1, 2\] there and None here;"),
    ],
)
def test_records_of_another_evaluation_are_not_mixed(some, tmp_path, change, message):
    with RecordWriter(tmp_path, IDENTITY) as writer:
        writer.append(some[1][:1])
    before = (tmp_path / "part-00000.jsonl").read_bytes()
    with pytest.raises(InputError, match=message):
        RecordWriter(tmp_path, IDENTITY | change)
    assert (tmp_path / "part-00000.jsonl").read_bytes() == before


def test_records_of_unknown_origin_are_not_mixed(some, tmp_path):
    write_records(tmp_path / "part-00000.jsonl", some[1][:1])
    with pytest.raises(InputError, match=r"has records but no identity.json"):
        RecordWriter(tmp_path, IDENTITY)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": "stvg_jax.records/9", "identity": {}}'])
def test_an_unreadable_identity_is_named(tmp_path, content):
    (tmp_path / "identity.json").write_text(content)
    with pytest.raises(InputError, match=r"identity.json (cannot be read|has schema)"):
        RecordWriter(tmp_path, IDENTITY)


def test_a_folder_is_made_with_those_above_it(some, tmp_path):
    folder = tmp_path / "a" / "b"
    with RecordWriter(folder, IDENTITY, 12) as writer:
        writer.append(some[1][:1])
    assert sorted(path.name for path in folder.iterdir()) == ["identity.json", "part-00012.jsonl"]
    assert json.loads((folder / "identity.json").read_text()) == {
        "schema": "stvg_jax.records/1",
        "identity": {"checkpoint": "1f3a", "clip": {"resolution": 420, "sizes": [1, 2]}},
    }


@pytest.mark.parametrize(
    "changes", [{"frames": [3, 3]}, {"frames": [4, 3]}, {"frames": [3]}, {"boxes": [[1, 2, 3, 4]]}]
)
def test_frames_that_do_not_ascend_with_a_box_each_are_damage(changes):
    record = Record.of(make_sample(), make_prediction(frames=[3, 4]))
    fields = json.loads(record.to_line())
    assert Record.from_line(json.dumps(fields)).prediction.frames.tolist() == [3, 4]
    with pytest.raises(ValueError, match="frames must ascend, with one box each"):
        Record.from_line(json.dumps(fields | changes))


def test_what_append_returned_from_is_on_the_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    with RecordWriter(tmp_path, IDENTITY) as writer:
        writer.append([Record.of(make_sample(), make_prediction(frames=[3, 4]))])
        written = (tmp_path / "part-00000.jsonl").read_bytes()
        assert synced[-1:] == [len(written)]
        assert written.count(b"\n") == 1
    with pytest.raises(ValueError, match="closed file"):
        writer.append([Record.of(make_sample(), make_prediction(frames=[5, 6]))])
