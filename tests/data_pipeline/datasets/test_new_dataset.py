"""A new dataset is one module and one line of the registry; everything else works with it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from stvg_jax.cli import main
from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.datasets.reading import check_against_videos, find_video_folder, read_annotations
from stvg_jax.data_pipeline.datasets.registry import MODULES
from stvg_jax.data_pipeline.frame_rules import evaluation_frame_ids
from stvg_jax.data_pipeline.loading.config import LoaderConfig
from stvg_jax.data_pipeline.loading.loader import Loader
from stvg_jax.data_pipeline.shards import FrameStore
from stvg_jax.grounding.inputs import GroundingInputs as Inputs
from tests.data_pipeline.loading.cases import tokenize
from tests.videos import write_video

COLUMNS = "video,width,height,frames,first,end,x1,y1,x2,y2,sentence"
ROWS = (
    "a.mp4,96,64,200,20,90,10,10,40,50,The man in red walks.",
    "a.mp4,96,64,200,60,120,20,12,50,52,the red dog sits",
    "b.mp4,64,80,30,2,9,5,5,20,30,The woman in white walks.",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The dataset as its authors would publish it."""
    folder = tmp_path_factory.mktemp("toy")
    for name in ("tables", "clips"):
        (folder / name).mkdir()
    for split in ("train", "test"):
        (folder / "tables" / f"{split}.csv").write_text("\n".join([COLUMNS, *ROWS, ""]))
    write_video(folder / "clips" / "a.mp4", 200, (96, 64))
    write_video(folder / "clips" / "b.mp4", 30, (64, 80))
    return folder


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    for name in ("toy", "captions"):
        monkeypatch.setitem(MODULES, name, f"tests.data_pipeline.datasets.{name}")


def prepare(folder, out, dataset):
    arguments = ["--dataset", dataset, "--annotations", folder, "--split", "test", "--out", out, "--processes", 1]
    return main(["prepare", "frames", *map(str, arguments)])


def test_it_is_read_and_compared_with_its_videos(folder):
    videos = find_video_folder("toy", folder)
    assert videos == folder / "clips"
    annotations = read_annotations("toy", folder, split="test", videos=videos)
    assert [(s.id, s.video, s.subject, s.tube) for s in annotations.samples] == [
        ("0", "a.mp4", "the man in red", (20, 90)),
        ("1", "a.mp4", "the red dog", (60, 120)),
        ("2", "b.mp4", "the woman in white", (2, 9)),
    ]
    facts = {
        "a.mp4": SimpleNamespace(frame_count=200, width=96, height=64),
        "b.mp4": SimpleNamespace(frame_count=29, width=64, height=80),
    }
    (problem,) = check_against_videos(annotations, facts)
    assert (problem.entry, problem.rule) == ("sample 2", "video too short")
    with pytest.raises(InputError, match="trajectories: not an option of the dataset toy"):
        read_annotations("toy", folder, split="test", trajectories=folder)


def test_its_frames_are_prepared_and_loaded(folder, tmp_path):
    assert prepare(folder, tmp_path / "frames", "toy") == 0
    store = FrameStore(tmp_path / "frames")
    stored = [i for i in range(200) if store.videos["a.mp4"].records_of(np.array([i]))[0] >= 0]
    assert stored == evaluation_frame_ids(200, "vidstg").tolist()
    data = {"dataset": "toy", "annotations": str(folder), "frames": str(tmp_path / "frames")}
    inputs = Inputs({"data": data}, "test")
    config = LoaderConfig(sampling="vidstg", resolution=32, width_multiple=8, text_lengths=(16,))
    loader = Loader(inputs.annotations.samples, inputs.store, tokenize, config, training=False, batch_size=3)
    (batch,) = loader.batches()
    assert sorted(batch["sample"].tolist()) == [0, 0, 1, 1, 2, 2]
    assert batch["frames"].shape[1] == 64


def test_it_gets_labels(folder, tmp_path):
    arguments = ["--dataset", "toy", "--annotations", folder, "--out", tmp_path / "labels.json"]
    assert main(["prepare", "labels", *map(str, arguments)]) == 0
    labels = json.loads((tmp_path / "labels.json").read_text())
    assert labels["appearance"] == {"red": 2, "white": 1}
    assert labels["motion"] == {"walk": 2}
    assert sorted(labels["splits"]) == ["test", "train"]


def test_predictions_are_scored_beside_its_published_results(folder, tmp_path, capsys):
    exact = {"0": (20, 90, [10, 10, 40, 50]), "1": (60, 120, [20, 12, 50, 52]), "2": (2, 9, [5, 5, 20, 30])}
    answers = {
        "predictions": {id: {i: [box] for i in range(first, end)} for id, (first, end, box) in exact.items()},
        "video_predictions": {id: {"sted": [first, end]} for id, (first, end, _) in exact.items()},
    }
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    arguments = [tmp_path / "answers.json", "--dataset", "toy", "--annotations", folder]
    assert main(["score", *map(str, arguments)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["Toy,", "test"] in lines
    assert ["Guess", "(2026)", "10.0", "7.5", "-", "2.5"] in lines
    # An exact answer of n frames has (n - 1) / n by the published measures: 69/70, 59/60 and 6/7.
    assert ["answers.json", "94.2", "94.2", "100.0", "100.0"] in lines


def test_texts_without_boxes_are_read_and_their_videos_stored_whole(folder, tmp_path):
    annotations = read_annotations("captions", folder, split="test", videos=find_video_folder("captions", folder))
    assert [(s.id, s.video, s.clip, s.event) for s in annotations.samples] == [
        ("0", "a.mp4", None, None), ("1", "a.mp4", None, None), ("2", "b.mp4", None, None),
    ]  # fmt: skip
    problems = check_against_videos(annotations, {"a.mp4": SimpleNamespace(frame_count=1, width=8, height=8)})
    assert [(problem.entry, problem.rule) for problem in problems] == [("sample 2", "missing video")]
    assert prepare(folder, tmp_path / "frames", "captions") == 0
    videos = FrameStore(tmp_path / "frames").videos
    assert {name: len(video.frames or range(video.frame_count)) for name, video in videos.items()} == {
        "a.mp4": 200, "b.mp4": 30,
    }  # fmt: skip


def test_texts_without_boxes_are_no_truth_for_grounding(folder, tmp_path, capsys):
    data = {"dataset": "captions", "annotations": str(folder), "frames": str(tmp_path)}
    with pytest.raises(InputError, match="the dataset captions has texts about videos and no tubes"):
        Inputs({"data": data}, "test")
    (tmp_path / "answers.json").write_text("{}")
    arguments = [tmp_path / "answers.json", "--dataset", "captions", "--annotations", folder]
    assert main(["score", *map(str, arguments)]) == 2
    assert "captions has texts about videos and no tubes" in capsys.readouterr().err
