"""One's own annotations, and the example in the documentation."""

import json
import re
from pathlib import Path

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.datasets.reading import read_annotations
from tests.data_pipeline.annotations.folders import HEIGHT, WIDTH, generic_file, generic_sample, write_json

DOCS = Path(__file__).parents[3] / "docs" / "annotations.md"


def read(path, **options):
    return read_annotations("json", path, split="train", **options)


def test_the_documented_example(tmp_path):
    example = next(e for e in re.findall(r"```json\n(.*?)```", DOCS.read_text(), re.DOTALL) if "annotations/1" in e)
    (tmp_path / "train.json").write_text(example)
    woman, question = read(tmp_path).samples
    assert (woman.id, woman.video, woman.kind, woman.subject) == ("party-1", "party.mp4", "declarative",
                                                                 "the woman in the red dress")  # fmt: skip
    assert (woman.width, woman.height, woman.clip, woman.tube) == (640, 360, (0, 250), (30, 33))
    assert woman.boxes_xyxy.tolist()[1] == [101.5, 52, 181, 302]
    assert (question.kind, question.subject, question.category) == ("interrogative", "what", "ball")
    assert (question.clip, question.tube, len(question.boxes_xyxy)) == ((200, 400), (310, 312), 2)


def test_labels_are_words_of_the_vocabularies(tmp_path):
    vocabularies = {"appearance": ["blue", "red"], "motion": ["sit"]}
    labelled = generic_sample(appearance=["red", "blue"], motion=[])
    file = write_json(tmp_path / "t.json", generic_file(labelled, generic_sample(id="two"), vocabularies=vocabularies))
    annotations = read(file)
    assert annotations.vocabularies.appearance == ("blue", "red")
    assert annotations.vocabularies.motion == ("sit",)
    labels = [(sample.appearance_labels, sample.motion_labels) for sample in annotations.samples]
    assert labels == [((0, 1), ()), (None, None)]
    assert read(write_json(tmp_path / "t.json", generic_file())).vocabularies is None


def test_boxes_are_cut_at_all_borders_within_the_tolerance(tmp_path):
    sample = generic_sample(boxes=[[-1, -0.5, 40, 60], [5, 5, WIDTH + 1, HEIGHT + 0.5]])
    (read_sample,) = read(write_json(tmp_path / "t.json", generic_file(sample))).samples
    assert read_sample.boxes_xyxy.tolist() == [[0, 0, 40, 60], [5, 5, WIDTH, HEIGHT]]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"id": "good"}, "duplicate id"),
        ({"id": 5}, "wrong type"),
        ({"video": "b.mp4"}, "unknown video"),
        ({"sentence": ""}, "empty sentence"),
        ({"kind": "command"}, "unknown kind"),
        ({"subjct": "the man"}, "unknown key"),
        ({"tube": [3]}, "wrong length"),
        ({"tube": [3, "5"]}, "not a number"),
        ({"tube": [5, 5]}, "empty tube"),
        ({"tube": [19, 21]}, "tube longer than the video"),
        ({"tube": [3, 6]}, "wrong number of boxes"),
        ({"boxes": [[1, 1, 3, 3], [1, 1, 300, 3]]}, "box outside the frame"),
        ({"boxes": [[1, 1, 3, 3], [3, 1, 1, 3]]}, "box reversed"),
        ({"clip": [0, 21]}, "clip longer than the video"),
        ({"clip": [4, 20]}, "tube before the beginning"),
        ({"appearance": ["red"]}, "unknown label"),
    ],
)
def test_wrong_samples(tmp_path, changes, rule):
    file = write_json(tmp_path / "t.json", generic_file(generic_sample(id="good"), generic_sample(**changes)))
    annotations = read(file, on_problem="exclude")
    assert [sample.id for sample in annotations.samples] == ["good"]
    assert [(p.entry, p.rule) for p in annotations.problems] == [("sample 1", rule)]


def test_wrong_videos_are_told_once_and_their_samples_left_out(tmp_path):
    videos = generic_file()["videos"] | {"b.mp4": {"width": 0, "height": 5, "fps": 3}}
    samples = [generic_sample(), generic_sample(id="two", video="b.mp4"), generic_sample(id="three", video="b.mp4")]
    annotations = read(write_json(tmp_path / "t.json", generic_file(*samples, videos=videos)), on_problem="exclude")
    assert [p.rule for p in annotations.problems] == ["unknown key", "number too small", "missing key"]
    assert [sample.id for sample in annotations.samples] == ["one"]
    assert [excluded.id for excluded in annotations.excluded] == ["two", "three"]


def test_keys_that_occur_twice(tmp_path):
    text = json.dumps(generic_file()).replace(
        '"a.mp4": {', '"a.mp4": {"width": 3, "height": 3, "frame_count": 3}, "a.mp4": {'
    )
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(InputError, match="duplicate key.*\n.*a.mp4 occurs twice in one object of videos"):
        read(tmp_path / "t.json")


def test_another_file_is_refused_with_the_expected_beginning(tmp_path):
    with pytest.raises(InputError, match='must begin with {"format": "stvg_jax.annotations/1"'):
        read(write_json(tmp_path / "t.json", {"samples": []}))


def test_options_of_another_dataset_are_refused(tmp_path):
    file = write_json(tmp_path / "t.json", generic_file())
    with pytest.raises(InputError, match="trajectories: not an option of the dataset json; it has no options"):
        read(file, trajectories=tmp_path)
    with pytest.raises(InputError, match="unknown dataset 'csv'"):
        read_annotations("csv", file, split="train")
    with pytest.raises(InputError, match="there is no file or folder"):
        read(tmp_path / "nowhere")
