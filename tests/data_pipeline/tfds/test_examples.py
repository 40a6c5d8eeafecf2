"""Examples from samples and their video."""

from __future__ import annotations

import pytest

from stvg_jax.data_pipeline.datasets.reading import read_annotations
from stvg_jax.data_pipeline.shards import Settings
from stvg_jax.data_pipeline.tfds import examples
from stvg_jax.data_pipeline.tfds.examples import ExampleMaker, by_video, pack


@pytest.fixture
def samples(manual):
    return read_annotations("vidstg", manual / "vidstg", split="test").samples


def test_a_video_is_decoded_once_for_all_its_sentences(manual, samples, monkeypatch):
    opened = []
    original = examples.open_video
    monkeypatch.setattr(examples, "open_video", lambda path: opened.append(path.name) or original(path))
    maker = ExampleMaker("vidstg", manual / "vidstg" / "videos", Settings(), "clips")
    made = [example for group in by_video(samples) for example in maker(group)]
    assert [id for id, _ in made] == ["0", "1", "2", "3"]
    assert opened == ["1000.mp4", "1001.mp4"]
    assert made[0][1]["frames"][0] is made[1][1]["frames"][0]
    assert made[0][1]["frame_ids"].tolist() == list(range(2, 38))


def test_elements_for_beam_give_the_same_examples(manual, samples):
    maker = ExampleMaker("vidstg", manual / "vidstg" / "videos", Settings(), "all")
    group = by_video(samples)[0]
    expected = {id: (example["sentence"], example["frames"]) for id, example in maker(group)}
    assert {id: (e["sentence"], e["frames"]) for id, e in maker.from_packed(pack(group))} == expected
    assert len(expected["0"][1]) == 40
