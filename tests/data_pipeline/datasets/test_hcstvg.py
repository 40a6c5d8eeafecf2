"""HC-STVG's files, against the rules of the released systems."""

import json

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.datasets.reading import read_annotations
from stvg_jax.data_pipeline.frame_rules import evaluation_frame_ids
from tests.data_pipeline.annotations.folders import HEIGHT, WIDTH, hcstvg_entry, write_json


def read(path, **options):
    return read_annotations("hcstvg", path, split="train", **options)


def test_a_sample_has_the_released_bounds_and_boxes(tmp_path):
    released = {"sub": "the man", "adj_index_list": [4, 2], "verb_index_list": [0]}
    write_json(tmp_path / "annos" / "train.json", {"a.mp4": hcstvg_entry(**released)})
    (sample,) = read(tmp_path).samples
    assert (sample.id, sample.video, sample.kind, sample.category) == ("0", "a.mp4", "declarative", "person")
    assert (sample.sentence, sample.subject) == ("The man in Red sits down.", "the man")
    assert (sample.width, sample.height, sample.clip, sample.tube) == (WIDTH, HEIGHT, (0, 20), (3, 6))
    assert sample.boxes_xyxy.dtype == np.float64
    assert sample.boxes_xyxy.tolist() == [[10, 20, 40, 60], [11, 21, 41, 61], [12, 22, 42, 62]]
    assert (sample.appearance_labels, sample.motion_labels) == ((2, 4), (0,))


def test_without_released_extras_the_subject_is_found_and_labels_are_unknown(tmp_path):
    (sample,) = read(write_json(tmp_path / "mine.json", {"a.mp4": hcstvg_entry(sub=" ")})).samples
    assert sample.subject == "the man in red"
    assert sample.appearance_labels is None
    assert sample.motion_labels is None


def test_boxes_are_cut_right_and_below_within_the_tolerance(tmp_path):
    box = [100.5, 60.5, WIDTH - 100, HEIGHT - 60]  # half a pixel outside
    (sample,) = read(write_json(tmp_path / "t.json", {"a.mp4": hcstvg_entry(bbox=[box])})).samples
    assert sample.boxes_xyxy.tolist() == [[100.5, 60.5, WIDTH, HEIGHT]]


def test_the_two_videos_of_the_releases_are_left_out_and_keep_their_place(tmp_path):
    names = ["a.mp4", "10__Gvp-cj3bmIY.mp4", "b.mp4", "1_aMYcLyh9OhU.mkv", "c.mp4"]
    annotations = read(write_json(tmp_path / "t.json", {name: hcstvg_entry() for name in names}))
    assert [(s.id, s.video) for s in annotations.samples] == [("0", "a.mp4"), ("2", "b.mp4"), ("4", "c.mp4")]
    assert [e.id for e in annotations.excluded] == ["1", "3"]
    assert annotations.problems == []


@pytest.mark.parametrize(
    "place", ["annos/train.json", "annos/hcstvg_v1/train.json", "annos/hcstvg_v2/train.json", "anno_v2/trainv2.json"]
)
def test_layouts_of_the_releases(tmp_path, place):
    write_json(tmp_path / place, {"a.mp4": hcstvg_entry()})
    assert len(read(tmp_path).samples) == 1
    with pytest.raises(InputError, match="no annotations of the split 'val'"):
        read_annotations("hcstvg", tmp_path, split="val")


def test_the_dataset_authors_version_2(tmp_path):
    entry = hcstvg_entry(caption=None, width=None, height=None, English="A man sits.", img_size=[HEIGHT, WIDTH])
    (sample,) = read(write_json(tmp_path / "trainv2.json", {"a.mp4": entry})).samples
    assert (sample.sentence, sample.width, sample.height) == ("A man sits.", WIDTH, HEIGHT)


def test_a_tube_up_to_the_last_frame_is_kept_though_that_frame_is_never_sampled(tmp_path):
    (sample,) = read(write_json(tmp_path / "t.json", {"a.mp4": hcstvg_entry(st_frame=18)})).samples
    assert sample.tube == (17, 20)
    assert evaluation_frame_ids(sample.clip[1], "hcstvg").max() == 18


@pytest.mark.parametrize(
    ("changes", "rule", "value"),
    [
        ({"st_frame": 19}, "tube longer than the video", "18 to 20"),
        ({"st_frame": 0}, "tube before the beginning", "-1 to 1"),
        ({"st_frame": 20, "bbox": [[1, 1, 2, 2]]}, "tube never sampled", "19"),
        ({"bbox": []}, "tube without boxes", "bbox"),
        ({"bbox": [[1, 1, 2, 2], [150, 1, 12, 2]]}, "box outside the frame", "frame 4 has the box 150, 1, 162, 3"),
        ({"bbox": [[-1.5, 1, 2, 2]]}, "box outside the frame", "-1.5"),
        ({"bbox": [[1, 1, -2, 2]]}, "box reversed", "1, 1, -1, 3"),
        ({"bbox": [[1, 1, 0, 2]]}, "box without area", "1, 1, 1, 3"),
        ({"bbox": [[1, 1, 2]]}, "box without four numbers", "frame 3"),
        ({"bbox": [[1, 1, 2, "3"]]}, "not a number", "'3'"),
        ({"bbox": [[1, 1, 2, True]]}, "not a number", "True"),
        ({"bbox": [[1, 1, 2, float("nan")]]}, "not a number", "nan"),
        ({"bbox": [[1, 1, 2, 10**40]]}, "not a number", "1000"),
        ({"bbox": 7}, "wrong type", "bbox is 7"),
        ({"img_num": "20"}, "not a number", "img_num is '20'"),
        ({"img_num": 10**400}, "not a whole number", "img_num"),
        ({"st_frame": 3.5}, "not a whole number", "3.5"),
        ({"width": 0}, "number too small", "width is 0"),
        ({"height": None}, "missing key", "height"),
        ({"caption": "  "}, "empty sentence", "'  '"),
        ({"caption": "1, 2!"}, "empty sentence", "'1, 2!'"),
        ({"caption": 5}, "wrong type", "caption is 5"),
        ({"adj_index_list": [1, -1]}, "number too small", "-1"),
    ],
)
def test_a_wrong_entry_is_told_with_file_entry_rule_and_value(tmp_path, changes, rule, value):
    file = write_json(tmp_path / "train.json", {"good.mp4": hcstvg_entry(), "bad.mp4": hcstvg_entry(**changes)})
    annotations = read(file, on_problem="exclude")
    assert [sample.video for sample in annotations.samples] == ["good.mp4"]
    (problem,) = annotations.problems
    assert (problem.file, problem.entry, problem.rule) == (str(file), "bad.mp4", rule)
    assert value in problem.detail
    (excluded,) = annotations.excluded
    assert (excluded.id, excluded.entry) == ("1", "bad.mp4")
    assert rule in excluded.reason
    with pytest.raises(InputError, match=rule):
        read(file)


def test_what_can_be_used_is_kept_on_request(tmp_path):
    entries = {
        "outside.mp4": hcstvg_entry(bbox=[[150, 1, 30, 2]]),
        "reversed.mp4": hcstvg_entry(bbox=[[1, 1, -2, 2]]),
        "late.mp4": hcstvg_entry(st_frame=19),
    }
    annotations = read(write_json(tmp_path / "t.json", entries), on_problem="keep")
    assert [sample.video for sample in annotations.samples] == ["outside.mp4"]
    assert annotations.samples[0].boxes_xyxy.tolist() == [[150, 1, WIDTH, 3]]
    assert len(annotations.problems) == 3
    assert [e.entry for e in annotations.excluded] == ["reversed.mp4", "late.mp4"]


def test_a_video_that_occurs_twice_is_noticed(tmp_path):
    entry = json.dumps(hcstvg_entry())
    file = tmp_path / "t.json"
    file.write_text(f'{{"a.mp4": {entry}, "a.mp4": {entry}, "b.mp4": {{"width": 1, {entry[1:]}}}')
    annotations = read(file, on_problem="exclude")
    assert [(p.entry, p.rule) for p in annotations.problems] == [("a.mp4", "duplicate id"), ("b.mp4", "duplicate key")]
    assert [(s.id, s.video) for s in annotations.samples] == [("0", "a.mp4")]


def test_a_file_without_a_usable_sample_is_an_error(tmp_path):
    file = write_json(tmp_path / "t.json", {"a.mp4": hcstvg_entry(caption="")})
    with pytest.raises(InputError, match="have no usable sample: 1 entries were left out.*empty sentence"):
        read(file, on_problem="exclude")
    with pytest.raises(InputError, match="on_problem='ignore' is unknown"):
        read(file, on_problem="ignore")
