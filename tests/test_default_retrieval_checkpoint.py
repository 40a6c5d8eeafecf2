"""The checkpoint for retrieval that comes with the library."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stvg_jax import Index
from stvg_jax.cli import main
from stvg_jax.core import checkpoint
from stvg_jax.data_pipeline.shapes import make_example
from stvg_jax.data_pipeline.shapes.captions import SENTENCES, caption_of
from stvg_jax.data_pipeline.shapes.video import write_video
from stvg_jax.experiment.exporting import sha256
from stvg_jax.models.names import default_retrieval_checkpoint


def test_its_card_tells_of_this_file():
    directory = default_retrieval_checkpoint()
    (parameters,) = directory.glob("*.safetensors")
    card = json.loads((directory / checkpoint.TRAINING).read_text())
    assert card["sha256"] == sha256(parameters)
    assert card["sha256"] in (directory / "README.md").read_text()
    assert parameters.stat().st_size < 10e6


def ranks(folder: Path, split: str, count: int) -> np.ndarray:
    """Rank of each video of a split for its own caption, from 1, by an index that is made without --checkpoint."""
    videos, captions = [], []
    for index in range(count):
        example = make_example(0, split=split, index=index, sentences=SENTENCES)
        videos.append(str(folder / f"{index}.mp4"))
        captions.append(caption_of(example))
        write_video(videos[-1], example.frames(), example.fps)
    assert main(["index", *videos, "--out", str(folder / "index")]) == 0
    index = Index.open(folder / "index")
    found = ([hit.video for hit in index.search(caption, count)] for caption in captions)
    return np.array([hits.index(video) + 1 for hits, video in zip(found, videos, strict=True)])


def test_it_finds_what_it_has_not_seen(tmp_path, capsys):
    """The right one of sixteen videos, which are in no split of the dataset."""
    found = ranks(tmp_path, "check", 16)
    assert (found == 1).mean() >= 0.8 and found.max() <= 5
    told = "using the built-in checkpoint for retrieval, which knows only generated videos of moving shapes"
    assert told in capsys.readouterr().err
    assert main(["search", str(tmp_path / "index"), "a red star moves up", "--top", "3"]) == 0
    printed = capsys.readouterr()
    assert told in printed.err and len(printed.out.splitlines()) == 4


@pytest.mark.slow
def test_its_recall_is_that_of_the_card(tmp_path):
    """Among the 400 videos of the test split; chance is 0.0025 and 0.025."""
    found = ranks(tmp_path, "test", 400)
    assert (found <= 1).mean() >= 0.6 and (found <= 10).mean() >= 0.95


@pytest.mark.slow
def test_a_hit_is_grounded_by_the_other_built_in_model(tmp_path, capsys):
    example = make_example(0, split="check", index=3)
    write_video(tmp_path / "shapes.mp4", example.frames(), example.fps)
    assert main(["index", str(tmp_path / "shapes.mp4"), "--out", str(tmp_path / "index")]) == 0
    truth = example.groundings[0]
    capsys.readouterr()
    assert main(["search", str(tmp_path / "index"), truth.sentence, "--json", "--ground"]) == 0
    printed = capsys.readouterr()
    assert "grounding with the built-in checkpoint, which knows only generated videos" in printed.err
    tube = json.loads(printed.out)["tube"]
    assert (tube["sentence"], tube["clip_end_frame"]) == (truth.sentence, 64)
