"""Examples from samples and their video."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stvg_jax.data_pipeline.datasets.reading import read_annotations
from stvg_jax.data_pipeline.shards import Settings
from stvg_jax.data_pipeline.tfds import examples
from stvg_jax.data_pipeline.tfds.examples import ExampleMaker, by_video, pack, unpack


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


def test_elements_for_beam_are_the_samples(samples):
    """To the last bit of the boxes, with labels and without."""
    samples = [
        dataclasses.replace(samples[0], boxes_xyxy=samples[0].boxes_xyxy / 3, motion_labels=(1, 4)),
        dataclasses.replace(samples[1], appearance_labels=()),
    ]
    for found, sample in zip(unpack(pack(samples)), samples, strict=True):
        np.testing.assert_array_equal(found.boxes_xyxy, sample.boxes_xyxy)
        assert vars(found) | {"boxes_xyxy": None} == vars(sample) | {"boxes_xyxy": None}
