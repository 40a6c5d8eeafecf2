"""From videos on disk to batches, through the real store."""

import dataclasses

import numpy as np
import pytest

from stvg_jax.data_pipeline.datasets.reading import read_annotations
from stvg_jax.data_pipeline.frames import model_size
from stvg_jax.data_pipeline.loading.loader import Loader
from stvg_jax.data_pipeline.shards import FrameStore, Settings, prepare_frames, wanted_frames
from stvg_jax.data_pipeline.shards.jpeg import decode
from tests.data_pipeline.loading.cases import CONFIG, tokenize
from tests.datasets import write_hcstvg
from tests.videos import numbers_in


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = write_hcstvg(tmp_path_factory.mktemp("hcstvg"), count=3, split="train")
    samples = read_annotations("hcstvg", folder, split="train").samples
    wanted = wanted_frames(samples, "hcstvg", "sampled")
    prepare_frames(wanted, folder / "v1_video", folder / "store", Settings(height=32), processes=1, say=lambda _: None)
    return samples, FrameStore(folder / "store")


@pytest.mark.parametrize("training", [True, False])
def test_batches_hold_the_pixels_of_the_stored_frames(dataset, training):
    samples, store = dataset
    config = dataclasses.replace(CONFIG, flip=0.0, appearance_words=3, motion_words=5)
    loader = Loader(samples, store, tokenize, config, training=training, batch_size=3)
    (batch,) = loader.batches(0, 1)
    assert sorted(set(batch["sample"].tolist())) == [0, 1, 2]
    for row, index in enumerate(batch["sample"]):
        sample, ids = samples[index], batch["frame_ids"][row][batch["frames_valid"][row]]
        height, width = batch["sizes"][row]
        assert (height, width) == model_size(sample.height, sample.width, 32)
        pictures = batch["frames"][row, : len(ids), :height, :width]
        np.testing.assert_array_equal(pictures, [decode(file) for file in store.read(sample.video, ids)])
        assert numbers_in(pictures) == ids.tolist()
