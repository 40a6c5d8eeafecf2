"""A tube as a value: equality, its short form, its JSON form and back."""

from __future__ import annotations

import copy
import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

import stvg_jax
from stvg_jax import InputError, Tube
from stvg_jax.grounding.inference.tube import FrameScores


def make_tube(**changed) -> Tube:
    frames = np.arange(10, 16)
    boxes = np.linspace(0, 95.123456, 24, dtype=np.float32).reshape(6, 4)
    rest = np.linspace(0, 1, 6, dtype=np.float32) ** 3
    values = {
        "video": "a/video.mp4", "sentence": "the man – in red\n\ud83d", "subject": "the man", "width": 96, "height": 64,
        "fps": 30000 / 1001, "clip": (10, 17), "start_frame": 11, "end_frame": 14, "start_sec": 1.1 * 3,
        "end_sec": 14 * 1001 / 30000, "box_frames": frames, "boxes_xyxy": boxes,
        "scores": FrameScores(frames, rest, rest / 3, rest / 7, 1 - rest, frames % 2),
    }  # fmt: skip
    return Tube(**values | changed)


def test_json_gives_the_tube_back(tmp_path):
    tube = make_tube()
    tube.write_json(tmp_path / "tube.json")
    for source in (tmp_path / "tube.json", str(tmp_path / "tube.json"), tube.to_dict()):
        again = Tube.from_json(source)
        assert again == tube
        assert again.to_dict() == tube.to_dict()
        assert (again.boxes_xyxy.dtype, again.box_frames.dtype) == (np.float32, np.int64)
    text = (tmp_path / "tube.json").read_text()
    (tmp_path / "bom.json").write_text("\ufeff" + text, encoding="utf-8")
    assert Tube.from_json(tmp_path / "bom.json") == tube


def test_numbers_are_short():
    record = make_tube().to_dict()
    assert record["start_sec"] == 3.3
    assert record["end_sec"] == 0.467133
    assert record["fps"] == 29.97002997
    assert make_tube(fps=7 / 0.7).fps == 10
    assert all(len(str(value)) <= 10 for entry in record["boxes"] for value in entry["box"])


def test_boxes_of_the_answer_are_marked():
    record = make_tube().to_dict()
    assert [(e["frame"], e["in_interval"]) for e in record["boxes"]] == [
        (10, False), (11, True), (12, True), (13, True), (14, False), (15, False),
    ]  # fmt: skip


def test_answers_written_before_boxes_were_marked_are_read():
    record = make_tube().to_dict()
    for entry in record["boxes"]:
        del entry["in_interval"]
    assert Tube.from_json(record) == make_tube()


def test_equality():
    tube = make_tube()
    assert tube == make_tube()
    assert tube == copy.deepcopy(tube)
    assert tube != dataclasses.replace(tube, end_frame=15)
    assert tube != dataclasses.replace(tube, boxes_xyxy=tube.boxes_xyxy + 1)
    assert tube != dataclasses.replace(tube, boxes_xyxy=tube.boxes_xyxy[:-1])
    assert tube.scores != dataclasses.replace(tube.scores, start=tube.scores.end)
    assert tube != tube.to_dict()
    with pytest.raises(TypeError, match="unhashable"):
        hash(tube)


def test_its_short_form_is_short():
    text = repr(make_tube(sentence="x" * 10**6))
    assert len(text) < 250
    assert "\n" not in repr(make_tube())
    assert "in 'a/video.mp4': 3.30 s to 0.47 s, frames 11 to 13, 6 boxes>" in text
    assert repr(make_tube().scores) == "<FrameScores of 6 frames>"


@pytest.mark.parametrize(
    ("fps", "text"), [(0.0003, "3.30 s"), (25, "3.30 s"), (240, "3.300 s"), (1e6, "3.300000 s"), (1e9, "3.300000 s")]
)
def test_times_have_the_digits_that_tell_frames_apart(fps, text):
    assert make_tube(fps=fps).clock(3.3) == text
    # Of a rate that changes, those of the answer count.
    fast = make_tube(fps=fps, start_frame=0, end_frame=2, start_sec=0, end_sec=2e-6)
    assert fast.clock(1e-6) == "0.000001 s"


def without(record, key):
    del record[key]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: without(r, "schema"), "'schema' is missing"),
        (lambda r: r.update(schema="stvg_jax.tube/9"), "schema 'stvg_jax.tube/9' is not 'stvg_jax.tube/1'"),
        (lambda r: without(r, "video"), "'video' is missing"),
        (lambda r: r.update(video=5), "'video' must be text, not int"),
        (lambda r: r.update(width=True), "'width' must be a whole number of 64 bits, not bool"),
        (lambda r: r.update(width=10**30), "'width' must be a whole number of 64 bits"),
        (lambda r: r.update(width=0), "width, height and fps must be positive"),
        (lambda r: r.update(fps=0), "width, height and fps must be positive"),
        (lambda r: r.update(end_frame=11), "start_frame less than end_frame"),
        (lambda r: r.update(start_sec=float("nan")), "'start_sec' must be a finite number"),
        (lambda r: r.update(end_sec="5"), "'end_sec' must be a number, not str"),
        (lambda r: r.update(boxes={}), "'boxes' must be a list, not dict"),
        (lambda r: r.update(boxes=[5]), "'boxes' must be a list of objects"),
        (lambda r: r["boxes"][0].update(box=[1, 2, 3]), "four numbers each"),
        (lambda r: r["boxes"][0].update(box=[1, 2, 3, None]), "'box' must be a number, not NoneType"),
        (lambda r: r["boxes"][1].update(frame=20), "one frame after the other"),
        (lambda r: r["scores"][1].update(start=10**400), "'start' must be a finite number"),
        (lambda r: without(r["scores"][1], "pass"), "'pass' is missing"),
    ],
)
def test_what_is_no_tube(tmp_path, change, message):
    record = make_tube().to_dict()
    change(record)
    with pytest.raises(InputError, match=f"the tube: .*{message}"):
        Tube.from_json(record)
    path = tmp_path / "tube.json"
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=f"{path}: .*{message}"):
        Tube.from_json(path)


def test_files_that_are_no_tube(tmp_path):
    for content, message in ((b"[]", "holds list"), (b"{", "is not JSON"), (b"\xff\xfe", "is not JSON"),
                             (b"[" * 100_000, "nested too deeply"), (b"", "is not JSON")):  # fmt: skip
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(InputError, match=message):
            Tube.from_json(tmp_path / "a.json")
    with pytest.raises(InputError, match="there is no file .*absent.json"):
        Tube.from_json(tmp_path / "absent.json")
    with pytest.raises(InputError, match="not from int"):
        Tube.from_json(5)


def test_the_package_offers_its_names_and_imports_them_when_asked():
    assert set(stvg_jax.__all__) <= set(dir(stvg_jax))
    program = """if True:
        import sys
        import stvg_jax
        assert not {"numpy", "jax", "av", "tensorflow", "torch"} & set(sys.modules)
        from stvg_jax import Tube, FrameScores, InputError
        assert not {"jax", "av", "tensorflow", "torch", "matplotlib"} & set(sys.modules)
        from stvg_jax import *
        assert Grounder.__module__ == "stvg_jax.grounding.inference.grounder"
        assert not {"av", "decord", "tensorflow", "torch", "matplotlib"} & set(sys.modules)
        try:
            stvg_jax.Absent
        except AttributeError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "module 'stvg_jax' has no attribute 'Absent'\n"
