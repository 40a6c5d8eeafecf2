"""Training batches of pairs are a function of seed and step, and clips are changed as a whole."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.loading.caption_pairs import CaptionPairLoader, PairSettings
from stvg_jax.data_pipeline.loading.captioned import CaptionedVideo, ShownVideos
from stvg_jax.data_pipeline.loading.clip_changes import ClipChanges
from stvg_jax.data_pipeline.shards import FrameStore, Settings, prepare_frames
from tests.videos import WIDTH, number_in, write_video

SAMPLES = (
    CaptionedVideo("0", "a.mp4", ("a dog goes left", "A dog!")),
    CaptionedVideo("1", "b.mp4", ("a cat",)),
    CaptionedVideo("2", "a.mp4", ("on the right", "two dogs")),
)
PLAIN = PairSettings(least_area=1.0, flip=0.0, operations=0)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    write_video(folder / "a.mp4", 30, (WIDTH, WIDTH))
    write_video(folder / "b.mp4", 5, (WIDTH, WIDTH))
    wanted = dict.fromkeys(("a.mp4", "b.mp4"))
    prepare_frames(wanted, folder, folder / "frames", Settings(height=0), processes=1)
    return FrameStore(folder / "frames")


def tokens(text: str) -> np.ndarray:
    return np.array([1, *(sum(map(ord, word)) for word in text.split()), 2], np.int32)


def make(store, settings=PLAIN, rule="headtail", **options) -> CaptionPairLoader:
    shown = ShownVideos(frames=4, resolution=WIDTH)
    defaults = {"tokens": 8, "seed": 3, "batch_size": 2, "threads": 1}
    return CaptionPairLoader(SAMPLES, store, tokens, shown, frame_rule=rule, settings=settings, **(defaults | options))


def pairs_of(batch) -> list[tuple[int, int]]:
    return list(zip(batch["sample"].tolist(), batch["caption"].tolist(), strict=True))


def test_an_epoch_shows_every_pair_at_most_once_in_another_order(store):
    loader = make(store)
    assert (len(loader.pairs), loader.steps_per_epoch) == (5, 2)
    shown = [pairs_of(batch) for batch in loader.batches(0, 8)]
    for epoch in range(4):
        pairs = sum(shown[2 * epoch : 2 * epoch + 2], [])
        assert len(set(pairs)) == 4
    assert shown[:2] != shown[2:4]


def test_batches_depend_on_seed_and_step_alone(store):
    settings = PairSettings()
    straight = list(make(store, settings).batches(0, 5))
    late = list(make(store, settings, threads=3).batches(3, 5))
    hosts = [list(make(store, settings, hosts=(host, 2)).batches(3, 5)) for host in range(2)]
    for k in range(2):
        for name, array in straight[3 + k].items():
            np.testing.assert_array_equal(late[k][name], array)
            np.testing.assert_array_equal(np.concatenate([host[k][name] for host in hosts]), array)
    other = next(make(store, settings, seed=4).batches())
    assert any((other[name] != straight[0][name]).any() for name in other)


def test_a_row_is_frames_by_the_rule_and_its_caption(store):
    seen = set()
    for batch in make(store).batches(0, 12):
        rows = zip(*(batch[name] for name in CaptionPairLoader.sent[:3]), pairs_of(batch), strict=True)
        for frames, ids, valid, (index, caption) in rows:
            numbers = [number_in(frame) for frame in frames]
            assert numbers == sorted(numbers)
            if SAMPLES[index].video == "a.mp4":
                assert (np.array(numbers) < 15).sum() == 2
                seen.add(tuple(numbers))
            text = SAMPLES[index].captions[caption].lower().replace("!", "")
            np.testing.assert_array_equal(ids[valid], tokens(text))
            assert not ids[~valid].any()
    assert len(seen) > 8


def test_a_flipped_clip_is_mirrored_and_its_words_change_sides(store):
    plain, flipped = (
        next(make(store, PairSettings(1.0, flip, 0, mirror_words=True), "uniform", batch_size=5).batches())
        for flip in (0.0, 1.0)
    )
    assert pairs_of(plain) == pairs_of(flipped)
    np.testing.assert_array_equal(plain["frames"][:, :, :, ::-1], flipped["frames"])
    texts = {(0, 0): "a dog goes right", (2, 0): "on the left"}
    for pair, ids, valid in zip(pairs_of(flipped), flipped["text_ids"], flipped["text_valid"], strict=True):
        if text := texts.get(pair):
            np.testing.assert_array_equal(ids[valid], tokens(text))


def test_changes_are_the_same_for_all_frames_and_keep_their_shape():
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(0, 256, (1, 48, 48, 3), np.uint8), 3, axis=0)
    results = []
    for number in range(40):
        changed = ClipChanges().draw(np.random.default_rng(number))(frames)
        assert changed.shape == frames.shape
        assert changed.dtype == np.uint8
        assert (changed == changed[:1]).all()
        results.append(changed[0])
    assert len({picture.tobytes() for picture in results}) > 35


def test_a_cut_is_large_enough_and_inside():
    for number in range(200):
        left, top, right, bottom = ClipChanges().draw(np.random.default_rng(number)).cut
        assert 0 <= left < right <= 1 + 1e-9
        assert 0 <= top < bottom <= 1 + 1e-9
        assert (right - left) * (bottom - top) >= 0.5 - 1e-9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"least_area": 0.0}, "least_area=0.0 is a share"),
        ({"flip": 1.5}, "flip=1.5 is a probability"),
        ({"strength": 11}, "strength=11"),
        ({"threads": -1}, "threads=-1"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        PairSettings(**settings)


def test_frames_that_a_rule_may_draw_must_be_stored(store, tmp_path):
    sampled = ShownVideos(frames=4, resolution=WIDTH)
    write_video(tmp_path / "a.mp4", 30, (WIDTH, WIDTH))
    prepare_frames({"a.mp4": sampled.frame_ids}, tmp_path, tmp_path / "frames", Settings(height=0), processes=1)
    few = FrameStore(tmp_path / "frames")
    assert list(sampled.problems(few, "a.mp4")) == []
    (problem,) = sampled.problems(few, "a.mp4", "headtail")
    assert "26 of 30 are missing, the first is 1" in problem[1]
    assert "--frames all" in problem[1]
