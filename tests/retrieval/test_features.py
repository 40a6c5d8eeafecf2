"""Features on disk are those of the frozen part, are computed once, and belong to one model and its videos."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from stvg_jax.cli import main
from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError
from stvg_jax.core.progress import Silent
from stvg_jax.core.tree import flatten, unflatten
from stvg_jax.data_pipeline.loading.caption_pairs import CaptionPairLoader, PairSettings
from stvg_jax.data_pipeline.loading.captioned import CaptionedVideo
from stvg_jax.data_pipeline.shards import FrameStore
from stvg_jax.nn.declare import initialize
from stvg_jax.retrieval import features as module
from stvg_jax.retrieval.clip import RetrievalClip
from stvg_jax.retrieval.features import prepare_features
from stvg_jax.runtime.tokenizer import write_word_tokenizer
from tests.retrieval import toy
from tests.retrieval.test_dual_encoder import CONFIG, MODULE

CLIP = RetrievalClip(frames=8, resolution=32, frame_rule="uniform", training_frame_rule="uniform")
SAMPLES = [CaptionedVideo(str(number), name, ("a", "b")) for number, (name, *_) in enumerate(toy.VIDEOS[:4])]


class MeanColours:
    """Stands for a frozen part: the mean colour of each frame."""

    shape = (8, 3)

    def __init__(self, name: str = "mean colours"):
        self.identity, self.seen = {"model": name}, 0

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        self.seen += 1
        return frames.mean((2, 3)).astype(np.float16)


@pytest.fixture
def store(place) -> FrameStore:
    return FrameStore(place / "frames")


def prepare(folder, store, part=None, samples=SAMPLES):
    return prepare_features(folder, "train", part or MeanColours(), samples, store, CLIP, Silent())


def test_they_are_computed_once_and_continued(place, store, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_VIDEOS_PER_STEP", 3)
    part = MeanColours()
    found = prepare(tmp_path, store, part)
    assert found.shape == (4, 8, 3) and part.seen == 2
    for sample, row in zip(SAMPLES, found, strict=True):
        frames = CLIP.shown.pictures(store, sample.video, store.videos[sample.video])
        np.testing.assert_array_equal(row, frames.mean((1, 2)).astype(np.float16))
    whole = (tmp_path / "train.f16").read_bytes()
    prepare(tmp_path, store, part)
    assert part.seen == 2
    # Two rows and the beginning of another.
    (tmp_path / "train.f16").write_bytes(whole[: 2 * 48 + 5])
    prepare(tmp_path, store, part)
    assert part.seen == 3 and (tmp_path / "train.f16").read_bytes() == whole


def test_those_of_another_model_or_other_videos_are_refused(store, tmp_path):
    prepare(tmp_path, store)
    for part, samples in ((MeanColours("others"), SAMPLES), (MeanColours(), SAMPLES[:3])):
        with pytest.raises(InputError, match="holds features of another model, or of other videos; delete it"):
            prepare(tmp_path, store, part, samples)


def test_batches_have_them_instead_of_frames(store):
    kept = np.arange(4 * 6, dtype=np.float16).reshape(4, 6)
    loader = CaptionPairLoader(
        SAMPLES,
        store,
        lambda text: np.array([1, 2], np.int32),
        CLIP.shown,
        frame_rule="uniform",
        settings=PairSettings(1.0, 0.0, 0),
        tokens=3,
        seed=0,
        batch_size=8,
        features=kept,
    )
    batch = next(loader.batches())
    assert loader.sent == ("features", "text_ids", "text_valid", "sample") and "frames" not in batch
    np.testing.assert_array_equal(batch["features"], kept[batch["sample"]])


def write_start(folder):
    """A checkpoint of the tiny dual encoder."""
    with checkpoint.new_directory(folder) as partial:
        sections = {"model": dataclasses.asdict(CONFIG), "clip": dataclasses.asdict(CLIP)}
        description = checkpoint.Description(model="dual_encoder", config=sections, note="drawn")
        checkpoint.write(partial, flatten(initialize(unflatten(MODULE.declarations), 0)), description)
        texts = [text for *_, captions in toy.VIDEOS for text in captions]
        write_word_tokenizer(partial / checkpoint.TOKENIZER, texts, CONFIG.roberta.vocab_size)
    return folder


def train(place, workdir, start, *options):
    nested = dataclasses.asdict(CONFIG)
    parts = ("resnet", "swin", "roberta")
    changed = {f"model.{part}.{key}": value for part in parts for key, value in nested.pop(part).items()}
    changed |= {f"model.{key}": value for key, value in nested.items()}
    changed |= {f"clip.{key}": value for key, value in dataclasses.asdict(CLIP).items()}
    changed |= {
        "data.dataset": "msvd",
        "data.annotations": place / "data" / "cap_test.json",
        "data.frames": place / "frames",
        "data.features": workdir.with_name("features"),
        "train.initialise": f"('{start}',)",
        "train.leave_out": "()",
        "train.split": "test",
        "train.validate_split": "test",
        "train.batch_size": 4,
        "train.max_steps": 6,
        "train.log_every": 2,
    }
    arguments = [f"--config.{key}={value}" for key, value in changed.items() if value is not None]
    return main(["train", "--config", "shapes_retrieval", "--workdir", str(workdir), *arguments, *options])


def test_changed_pictures_have_none(place, tmp_path, capsys):
    start = write_start(tmp_path / "start")
    assert train(place, tmp_path / "run", start, "--config.loader.flip=0.5") == 2
    told = capsys.readouterr().err
    assert "config.data.features keeps the frames of an evaluation, unchanged" in told
    assert not (tmp_path / "features").exists()


@pytest.mark.slow
def test_a_training_reads_them(place, tmp_path, capsys):
    start = write_start(tmp_path / "start")
    assert train(place, tmp_path / "run", start) == 0
    noted = json.loads((tmp_path / "features" / "features.json").read_text())
    assert noted.keys() == {"test"} and noted["test"]["model"] == "dual_encoder"
    rows = len(toy.VIDEOS)
    assert (tmp_path / "features" / "test.f16").stat().st_size == rows * 2 * 4 * 4 * 4 * 16
    folder = tmp_path / "run" / "last"
    ours, first = (
        checkpoint.read(folder, checkpoint.describe(folder)),
        checkpoint.read(start, checkpoint.describe(start)),
    )
    changed = {path.split("/")[0] for path in ours if (ours[path] != first[path]).any()}
    assert not changed & {"resnet", "swin", "appearance_projection", "motion_projection"}
    assert changed >= {"cell", "cell_units", "video_embedding", "roberta", "text_embedding"}
    # The frozen part of another start has other features.
    parameters = {path: np.asarray(array + 1) for path, array in first.items()}
    with checkpoint.new_directory(tmp_path / "other") as partial:
        checkpoint.write(partial, parameters, checkpoint.describe(start))
        write_word_tokenizer(partial / checkpoint.TOKENIZER, ["red"], CONFIG.roberta.vocab_size)
    assert train(place, tmp_path / "again", tmp_path / "other") == 2
    assert "holds features of another model" in capsys.readouterr().err
