import contextlib
import json

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.core.progress import Silent
from stvg_jax.data_pipeline.datasets.reading import read_annotations
from stvg_jax.data_pipeline.shapes import Settings, make_example
from stvg_jax.data_pipeline.shapes.dataset import Plan, prepare_shapes
from stvg_jax.data_pipeline.shapes.vocabulary import APPEARANCE_LABELS, COLOURS
from stvg_jax.data_pipeline.video import open_video
from tests.damage import damaged_objects

PLAN = Plan(train=5, val=1, test=2, settings=Settings(height=48, frames=32))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp("shapes") / "data"
    return out, prepare_shapes(out, PLAN)


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def contents(folder):
    return {name: (folder / name).read_bytes() for name in files(folder)}


def test_it_is_read_as_hcstvg(dataset):
    out, manifest = dataset
    assert manifest["version"] == "shapes/2" and manifest["videos"] == {"train": 5, "val": 1, "test": 2}
    for split, count in PLAN.counts().items():
        annotations = read_annotations("hcstvg", out, split=split, videos=out / "v1_video")
        assert len(annotations.samples) == count and not annotations.problems and not annotations.excluded
        for index, sample in enumerate(annotations.samples):
            truth = make_example(0, PLAN.settings, split=split, index=index).groundings[0]
            assert (sample.sentence, sample.subject) == (truth.sentence, truth.subject)
            assert sample.tube == (truth.start_frame, truth.end_frame) and sample.clip == (0, 32)
            np.testing.assert_allclose(sample.boxes_xyxy, truth.boxes_xyxy, atol=0.011)
            assert sample.appearance_labels == truth.appearance_labels
            assert sample.motion_labels == truth.motion_labels


def test_videos_show_the_scene(dataset):
    out, _ = dataset
    for sample in read_annotations("hcstvg", out, split="train").samples:
        example = make_example(0, PLAN.settings, split="train", index=int(sample.id))
        with open_video(out / "v1_video" / sample.video) as video:
            assert (video.info.width, video.info.height) == (sample.width, sample.height)
            frames = np.stack([frame for _, frame in video.iter_frames()])
        difference = np.abs(frames.astype(int) - example.frames())
        assert frames.shape == difference.shape and difference.mean() < 6


def test_a_box_of_the_file_holds_the_named_colour(dataset):
    """From the pictures and the JSON alone."""
    out, _ = dataset
    entries = json.loads((out / "annos" / "train.json").read_text())
    vocabulary = json.loads((out / "annos" / "vocabulary.json").read_text())
    assert vocabulary["appearance"] == list(APPEARANCE_LABELS)
    checked = 0
    for name, entry in entries.items():
        colours = [word for i in entry["adj_index_list"] if (word := vocabulary["appearance"][i]) in COLOURS]
        if not colours or vocabulary["motion"].index("blink") in entry["verb_index_list"]:
            continue
        with open_video(out / "v1_video" / name) as video:
            frame = video.read([entry["st_frame"] - 1])[0]
        x, y, width, height = entry["bbox"][0]
        found = frame[round(y + height / 2), round(x + width / 2)].astype(float)
        distance = {colour: np.abs(found - rgb).sum() for colour, rgb in COLOURS.items()}
        assert min(distance, key=distance.get) == colours[0]
        checked += 1
    assert checked >= 3


class Counting(Silent):
    """Keeps how many videos are finished, and interrupts after the `last`."""

    def __init__(self, last=None):
        self._last = last

    @contextlib.contextmanager
    def bar(self, title, total, unit, done):
        assert total == 8
        self.seen = []

        def step():
            self.seen.append(done + len(self.seen) + 1)
            if self.seen[-1] == self._last:
                raise KeyboardInterrupt

        yield step


def test_interrupted_and_continued_gives_the_same(dataset, tmp_path):
    out, _ = dataset

    with pytest.raises(KeyboardInterrupt):
        prepare_shapes(tmp_path / "d", PLAN, progress=Counting(last=3))
    journal = tmp_path / "d" / "unfinished.jsonl"
    assert journal.read_text().count("\n") == 4 and not (tmp_path / "d" / "shapes.json").exists()
    with journal.open("a") as file:
        file.write('["train_000004.mp4", {"scene": "torn')
    with pytest.raises(InputError, match="holds another dataset"):
        prepare_shapes(tmp_path / "d", Plan(train=9))
    whole = journal.read_text()
    first, second, *rest = whole.split("\n")
    name, record = json.loads(second)
    damaged = [json.dumps([name, json.loads(text)]) for _, text in damaged_objects(record) if text[:3] != "[[["]
    for text in [*damaged, second[:40], "{}", "[]", json.dumps([1, record]), "[" * 100_000]:
        journal.write_text("\n".join([first, text, *rest]))
        with pytest.raises(InputError, match="^line 2 of .*unfinished.jsonl is damaged: "):
            prepare_shapes(tmp_path / "d", PLAN)
    journal.write_text("\n".join([first[:9], second, *rest]))
    with pytest.raises(InputError, match="^line 1 of .*unfinished.jsonl is damaged: "):
        prepare_shapes(tmp_path / "d", PLAN)
    journal.write_text(whole)
    progress = Counting()
    prepare_shapes(tmp_path / "d", PLAN, progress=progress)
    assert progress.seen == [4, 5, 6, 7, 8]
    assert contents(tmp_path / "d") == contents(out)


def test_processes_change_nothing(dataset, tmp_path):
    out, manifest = dataset
    assert prepare_shapes(tmp_path / "d", PLAN, processes=2) == manifest
    assert contents(tmp_path / "d") == contents(out)


def test_a_finished_dataset_is_left_alone_and_mended(dataset):
    out, manifest = dataset
    before = contents(out)
    progress = Counting()
    assert prepare_shapes(out, PLAN, progress=progress) == manifest and not progress.seen
    (out / "v1_video" / "train_000001.mp4").unlink()
    assert prepare_shapes(out, PLAN, progress=progress) == manifest and progress.seen == [8]
    assert contents(out) == before


def test_another_dataset_is_refused(dataset, tmp_path):
    out, _ = dataset
    with pytest.raises(InputError, match=r"holds another dataset \(seed 0, not 1\); choose another folder"):
        prepare_shapes(out, Plan(train=5, val=1, test=2, seed=1, settings=PLAN.settings))
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="is not a shapes dataset"):
        prepare_shapes(tmp_path, PLAN)
    assert files(tmp_path) == {"letter.txt"}


def test_a_larger_dataset_contains_the_smaller(dataset, tmp_path):
    out, _ = dataset
    larger = Plan(train=6, val=0, test=0, settings=PLAN.settings)
    prepare_shapes(tmp_path / "d", larger)
    few, more = (json.loads((folder / "annos" / "train.json").read_text()) for folder in (out, tmp_path / "d"))
    assert few.items() < more.items()


def test_one_kind_only(tmp_path):
    plan = Plan(train=3, val=0, test=0, settings=PLAN.settings, kind="verbs")
    assert prepare_shapes(tmp_path / "d", plan)["kind"] == "verbs"
    entries = json.loads((tmp_path / "d" / "annos" / "train.json").read_text())
    for index, entry in enumerate(entries.values()):
        truth = make_example(0, PLAN.settings, split="train", index=index, kind="verbs").groundings[0]
        assert (entry["caption"], entry["kind"]) == (truth.sentence, "motion")
    with pytest.raises(InputError, match="holds another dataset"):
        prepare_shapes(tmp_path / "d", Plan(train=3, val=0, test=0, settings=PLAN.settings))
    with pytest.raises(InputError, match="unknown kind of sentence 'dance'"):
        Plan(kind="dance")


@pytest.mark.parametrize("counts", [{"train": -1}, {"train": 0, "val": 0, "test": 0}, {"seed": -1}])
def test_plans_that_cannot_be(counts):
    with pytest.raises(InputError, match="zero or more"):
        Plan(**counts)
