"""Answers in the formats of other tools, read back by readers of these formats."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
import types
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from stvg_jax import InputError
from stvg_jax.commands import ground
from stvg_jax.grounding.inference.answer import Outputs
from stvg_jax.grounding.inference.export import FORMATS, file_name
from tests.grounding.inference.drawing import make_tube

# Of frames 4 to 7.
BOXES = np.array([[50, 50, 110, 100], [51.25, 50, 110, 99], [52, 50, 110, 98], [53, 50, 110, 97.5]], np.float32)


@pytest.fixture
def tube():
    tube = make_tube(fps=2.0)
    tube.boxes_xyxy[4:8] = BOXES
    return tube


def written(tube, format, folder):
    folder.mkdir(parents=True, exist_ok=True)
    tube.export(folder / file_name(format), format)
    return folder / file_name(format)


def xywh(boxes):
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def test_csv(tube, tmp_path):
    pandas = pytest.importorskip("pandas")
    table = pandas.read_csv(written(tube, "csv", tmp_path))
    assert list(table.columns) == ["video", "sentence", "subject", "frame", "sec", "x1", "y1", "x2", "y2"]
    assert table["frame"].tolist() == [4, 5, 6, 7]
    assert table["sec"].tolist() == [2.0, 2.5, 3.0, 3.5]
    np.testing.assert_array_equal(table[["x1", "y1", "x2", "y2"]].to_numpy(np.float32), BOXES)
    assert set(table["sentence"]) == {tube.sentence}


def test_a_spreadsheet_runs_nothing(tmp_path):
    tube = make_tube(sentence='=HYPERLINK("http://x"), "a"\nb', subject="\ud83d-1")
    with written(tube, "csv", tmp_path).open(encoding="utf-8", newline="") as file:
        row = list(csv.reader(file))[1]
    assert row[1:3] == ["'" + tube.sentence, "\ufffd-1"]


def test_mot(tube, tmp_path):
    datumaro = pytest.importorskip("datumaro")
    # The importer wants MOTChallenge's folders.
    written(tube, "mot", tmp_path / "gt").rename(tmp_path / "gt" / "gt.txt")
    items = {item.id: item for item in datumaro.Dataset.import_from(str(tmp_path), "mot_seq")}
    boxes = [annotation for frame in range(5, 9) for annotation in items[str(frame)].annotations]
    # Pixels are counted from 1 in this format, which the reader leaves as they are.
    np.testing.assert_allclose([box.get_bbox() for box in boxes], xywh(BOXES) + [1, 1, 0, 0], atol=1e-3)
    assert {box.attributes["track_id"] for box in boxes} == {1}


def test_coco(tube, tmp_path):
    coco = pytest.importorskip("pycocotools.coco").COCO(written(tube, "coco", tmp_path))
    annotations = coco.loadAnns(coco.getAnnIds(catIds=coco.getCatIds(["the man in red"])))
    np.testing.assert_allclose([one["bbox"] for one in annotations], xywh(BOXES), atol=1e-3)
    images = coco.loadImgs([one["image_id"] for one in annotations])
    assert [image["frame_id"] for image in images] == [4, 5, 6, 7]
    assert images[0]["file_name"] == "000004.jpg"
    assert annotations[0]["area"] == 3000


def test_cvat(tube, tmp_path):
    datumaro = pytest.importorskip("datumaro")
    path = written(tube, "cvat", tmp_path)
    items = {item.attributes["frame"]: item for item in datumaro.Dataset.import_from(str(path), "cvat")}
    assert sorted(items) == [4, 5, 6, 7, 8]
    boxes = [items[frame].annotations[0] for frame in range(4, 9)]
    assert [box.attributes["outside"] for box in boxes] == [False, False, False, False, True]
    np.testing.assert_allclose([box.get_bbox() for box in boxes[:4]], xywh(BOXES), atol=0.01)


def test_xml_holds_every_sentence(tmp_path):
    tube = make_tube(sentence="<a> & \x00\x1b\ud83d\uffff", subject='"b" <c>', interval=(4, 12))
    root = ElementTree.parse(written(tube, "cvat", tmp_path)).getroot()
    assert root.findtext("meta/task/name") == "<a> & \ufffd\ufffd\ufffd\ufffd"
    assert root.find("track").get("label") == '"b" <c>'
    # The answer ends with the clip.
    assert {box.get("outside") for box in root.findall("track/box")} == {"0"}


def test_via_plays_a_video_of_the_network_from_there(tube, tmp_path):
    address = "https://example.org/a/party.mp4?token=1"
    project = json.loads(written(dataclasses.replace(tube, video=address), "via", tmp_path).read_text())
    file = project["file"]["1"]
    assert (file["loc"], file["src"]) == (2, address)


def test_via(tube, tmp_path):
    """No reader of this format is on PyPI; the values are those of VIA's own `_via_file.js` and `_via_metadata.js`."""
    project = json.loads(written(tube, "via", tmp_path).read_text())
    assert project["project"]["vid_list"] == list(project["view"]) == ["1"]
    file = project["file"]["1"]
    assert (file["type"], file["loc"], file["fname"]) == (4, 3, "video.mp4")
    assert file["src"] == Path("a/video.mp4").absolute().as_uri()
    segment, *boxes = project["metadata"].values()
    assert (segment["z"], segment["xy"], segment["av"]) == ([tube.start_sec, tube.end_sec], [], {"1": tube.sentence})
    # One a second, the first and the last.
    assert [box["z"] for box in boxes] == [[2.0], [3.0], [3.5]]
    np.testing.assert_allclose([box["xy"] for box in boxes], [[2, *row] for row in xywh(BOXES)[[0, 2, 3]]], atol=0.01)
    assert {attribute["anchor_id"] for attribute in project["attribute"].values()} == {"FILE1_Z2_XY0", "FILE1_Z1_XY1"}


def test_pandas(tube):
    pytest.importorskip("pandas")
    table = tube.to_pandas()
    assert list(table.columns) == ["frame", "sec", "x1", "y1", "x2", "y2", "in_interval"]
    assert len(table) == 12
    assert table.loc[table["in_interval"], "frame"].tolist() == [4, 5, 6, 7]
    assert table.attrs == {"video": "a/video.mp4", "sentence": tube.sentence, "subject": tube.subject}


def test_supervision(tube, monkeypatch):
    stand_in = types.SimpleNamespace(Detections=lambda **values: types.SimpleNamespace(**values))
    monkeypatch.setitem(sys.modules, "supervision", stand_in)
    found = tube.to_supervision()
    assert list(found) == [4, 5, 6, 7]
    np.testing.assert_array_equal(found[5].xyxy, BOXES[1:2])
    assert found[5].data["class_name"].tolist() == [tube.subject]


def test_fiftyone(tube, monkeypatch):
    class Sample(dict):
        def __init__(self, filepath):
            self.filepath, self.frames = filepath, {}

    made = {name: lambda **values: types.SimpleNamespace(**values) for name in _FIFTYONE}
    monkeypatch.setitem(sys.modules, "fiftyone", types.SimpleNamespace(Sample=Sample, **made))
    sample = tube.to_fiftyone()
    assert sample.filepath == tube.video
    assert sample["moment"].detections[0].support == [5, 8]
    assert list(sample.frames) == [5, 6, 7, 8]
    box = sample.frames[5].target.detections[0].bounding_box
    np.testing.assert_allclose(box, [50 / 160, 50 / 120, 60 / 160, 50 / 120], rtol=1e-6)


_FIFTYONE = ("TemporalDetection", "TemporalDetections", "Detection", "Detections", "Frame")


@pytest.mark.parametrize("method", ["to_pandas", "to_supervision", "to_fiftyone"])
def test_without_the_other_library(method, tube, monkeypatch):
    name = method.removeprefix("to_")
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=f"^this needs the package {name}, which is not installed; add it with pip$"):
        getattr(tube, method)()


def test_what_cannot_be_exported(tube, tmp_path):
    with pytest.raises(InputError, match="^format 'mat' is unknown; choose one of csv, mot, coco, cvat, via$"):
        tube.export(tmp_path / "x", "mat")
    with pytest.raises(InputError, match="has no box to export"):
        make_tube(interval=(40, 50)).export(tmp_path / "x", "csv")
    assert list(tmp_path.iterdir()) == []


def test_exports_of_an_older_answer_go(tube, tmp_path):
    outputs = Outputs(tmp_path / "out", [tube.sentence], Path("video.mp4"))
    outputs.write(tmp_path / "out", tube, list(FORMATS))
    names = {"tube.json", "tube.csv", "tube.mot.txt", "tube.coco.json", "tube.cvat.xml", "tube.via.json"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    outputs.write(tmp_path / "out", tube, ["mot"])
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"tube.json", "tube.mot.txt"}


def test_the_command_knows_every_format():
    import argparse

    parser = argparse.ArgumentParser()
    ground.add_arguments(parser)
    (option,) = [action for action in parser._actions if "--export" in action.option_strings]
    assert option.choices == tuple(FORMATS)


def test_a_notebook_shows_the_answer(tmp_path):
    missing = make_tube(sentence="<b>the man</b>")
    assert "&lt;b&gt;the man" in missing._repr_html_()
    assert "<img" not in missing._repr_html_()
