"""Batches of videos with their captions."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations import Caption
from stvg_jax.data_pipeline.loading.captioned import CaptionedLoader, ShownVideos, group_captions
from stvg_jax.data_pipeline.loading.needs import WholeVideoFrames
from stvg_jax.data_pipeline.loading.text_chunks import TextChunks
from stvg_jax.data_pipeline.shards import Settings
from tests.data_pipeline.loading.cases import MemoryStore, stored_video
from tests.videos import numbers_in

SHOWN = ShownVideos(frames=4, resolution=48)
# Entries, each with its captions; 1 is short and 2 is the same file as 0.
ENTRIES = (("0.mp4", "A man."), ("1.mp4", "two dogs", "dogs (and cats)", "One"), ("0.mp4", "he sits"))
LENGTHS = {"0.mp4": (80, 50, 40), "1.mp4": (64, 90, 3)}


def captions() -> list[Caption]:
    pairs = [(entry, video, text) for entry, (video, *texts) in enumerate(ENTRIES) for text in texts]
    return [Caption(id=str(n), video=v, sentence=text, entry=e) for n, (e, v, text) in enumerate(pairs)]


def memory_store() -> MemoryStore:
    return MemoryStore({name: stored_video(*numbers) for name, numbers in LENGTHS.items()})


def tokenize(text: str) -> np.ndarray:
    return np.array([101, *(len(word) for word in text.split()), 102], np.int32)


def loader(store=None, shown=SHOWN, **options) -> CaptionedLoader:
    options = {"tokens": 6, "batch_size": 2} | options
    return CaptionedLoader(group_captions(captions()), store or memory_store(), tokenize, shown, **options)


def test_videos_have_their_captions_in_order():
    videos = group_captions(captions())
    assert [(video.id, video.video, *video.captions) for video in videos] == [
        (str(number), *entry) for number, entry in enumerate(ENTRIES)
    ]


def test_batches_show_every_video_once():
    first, second = loader().batches()
    assert first["frames"].shape == (2, 4, 48, 48, 3) and first["frames"].dtype == np.uint8
    assert numbers_in(first["frames"][0]) == [0, 10, 20, 30]
    # A short video ends with copies of its last frame.
    assert numbers_in(first["frames"][1]) == [0, 1, 2, 2]
    assert (first["sample"].tolist(), second["sample"].tolist()) == ([0, 1], [2, -1])
    assert not second["frames"][1].any() and not second["text_valid"][1].any()
    assert first["text_ids"].shape == (2, 1, 3, 6)
    assert first["text_ids"][1, 0].tolist() == [[101, 3, 4, 102, 0, 0], [101, 4, 3, 4, 102, 0], [101, 3, 102, 0, 0, 0]]
    assert first["text_valid"].sum(-1).tolist() == [[[4, 0, 0]], [[4, 5, 3]]]
    assert (first["chunks"].tolist(), second["chunks"].tolist()) == ([1, 1], [1, 0])
    assert loader().largest_clip == (4, 48, 48)


def test_hosts_share_batches_and_an_evaluation_goes_on_with_what_it_lacks():
    (first, second), parts = loader().batches(), [list(loader(hosts=(host, 2)).batches()) for host in range(2)]
    for step, whole in enumerate((first, second)):
        for name, array in whole.items():
            np.testing.assert_array_equal(np.concatenate([part[step][name] for part in parts]), array)
    (only,) = loader(only=[2]).batches()
    assert only["sample"].tolist() == [2, -1]
    np.testing.assert_array_equal(only["frames"][0], second["frames"][0])
    (again,) = loader().batches(1)
    np.testing.assert_array_equal(again["frames"], second["frames"])


def test_many_texts_lie_in_chunks():
    chunks = TextChunks.for_counts([70, 1], tokens=3)
    assert (chunks.chunks, chunks.texts) == (3, 32)
    packed = chunks.pack([[np.array([n, n], np.int32) for n in range(70)], [], [np.array([5], np.int32)]])
    assert packed["chunks"].tolist() == [3, 0, 1]
    assert packed["text_ids"].reshape(3, 96, 3)[0, :, 0].tolist() == [*range(70), *[0] * 26]
    assert packed["text_valid"].sum((1, 2, 3)).tolist() == [140, 0, 1]
    assert TextChunks.for_counts([], 3) == TextChunks(1, 1, 3)


def test_everything_that_is_not_stored_is_named_at_once():
    store = memory_store()
    del store.videos["1.mp4"]
    with pytest.raises(InputError, match=r"(?s)video not stored \(1\):.*1.mp4: entry 1") as error:
        loader(store)
    assert "entry 0" not in str(error.value)
    store = memory_store()
    store.videos["0.mp4"] = stored_video(80, 50, 40, stored=(25, 40))
    with pytest.raises(InputError, match=r"(?s)frames reduced for another model \(2\).*takes 48 by square"):
        loader(store)
    store.videos["1.mp4"] = dataclasses.replace(store.videos["1.mp4"], frames="0-1")
    store.videos["0.mp4"] = stored_video(80, 50, 40)
    with pytest.raises(InputError, match=r"(?s)frames not stored \(1\):.*1 of 3 are missing, the first is 2"):
        loader(store)


def test_damaged_frames_are_named():
    store = memory_store()
    store.damaged.add(("1.mp4", 2))
    with pytest.raises(InputError, match=r"1.mp4: stored frame 2: .*is not a JPEG.*prepare the frames again"):
        list(loader(store).batches())


def test_other_sizes_rules_and_numbers():
    shown = ShownVideos(frames=3, frame_rule="middle", resolution=32)
    assert shown.size == (32, 32)
    (batch,) = loader(shown=shown, batch_size=3).batches()
    assert numbers_in(batch["frames"][0]) == [6, 19, 32]
    with pytest.raises(InputError, match="unknown frame rule 'rand'; choose one of uniform, middle"):
        loader(shown=ShownVideos(frame_rule="rand"))


def test_what_is_stored_for_training_and_for_evaluation():
    needs, store = WholeVideoFrames(SHOWN, "headtail"), memory_store()
    assert (needs.policy, WholeVideoFrames(SHOWN, "uniform").policy) == ("all", "sampled")
    assert needs.wanted(captions(), "msrvtt", "all") == {"0.mp4": None, "1.mp4": None}
    sampled = pickle.loads(pickle.dumps(needs.wanted(captions(), "msrvtt", "sampled")))
    assert {name: choose(LENGTHS[name][2]).tolist() for name, choose in sampled.items()} == {
        "0.mp4": [0, 10, 20, 30], "1.mp4": [0, 1, 2],
    }  # fmt: skip
    assert needs.lacks(store, captions()) == []
    store.videos["0.mp4"] = dataclasses.replace(store.videos["0.mp4"], frames="0,10,20,30")
    assert needs.lacks(store, captions()) == ["frames not stored for training (1 of 2 videos)"]
    assert WholeVideoFrames(SHOWN, "uniform").lacks(store, captions()) == []
    del store.videos["1.mp4"]
    assert needs.lacks(store, captions())[0] == "video not stored for evaluation (1 of 2)"
    store.videos["0.mp4"], store.settings = stored_video(80, 50, 40, stored=(48, 48)), Settings(48, sizing="square")
    assert needs.lacks(store, captions()[:1]) == []
    assert "reduced for other models" in WholeVideoFrames(ShownVideos(4), "uniform").lacks(store, captions()[:1])[0]
