"""Batches as a function of (seed, step): any start, any number of hosts, each sample once, everything in its place."""

import dataclasses

import numpy as np
import pytest

from stvg_jax.core.passes import ConsecutiveParts, InterleavedPasses
from stvg_jax.data_pipeline.frame_rules import (
    FRAME_RULES,
    EvenlySpaced,
    evaluation_frame_ids,
    training_frame_ids,
)
from stvg_jax.data_pipeline.frames import model_size
from stvg_jax.data_pipeline.loading.config import bucket_size
from stvg_jax.data_pipeline.loading.loader import Loader
from stvg_jax.data_pipeline.loading.order import CLIP, generator
from stvg_jax.data_pipeline.loading.plan import most_frames, needed_frame_ids, tube_boxes
from stvg_jax.data_pipeline.loading.schema import GROUNDING_BATCH
from stvg_jax.data_pipeline.shards.jpeg import decode
from tests.data_pipeline.loading.cases import CONFIG, box_at, make_loader, make_samples, stored_video, tokenize
from tests.videos import numbers_in

FLIPPED = dataclasses.replace(CONFIG, flip=1.0)


def assert_equal(batch, other):
    assert batch.keys() == other.keys()
    for key, value in batch.items():
        assert value.dtype == other[key].dtype, key
        np.testing.assert_array_equal(value, other[key], err_msg=key)


def joined(parts):
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


@pytest.fixture(scope="module")
def training():
    """Two epochs and a batch of a training on eleven samples."""
    return list(make_loader(11, seed=3, batch_size=4).batches(0, 5))


@pytest.fixture(scope="module")
def evaluation():
    return list(make_loader(5, training=False, batch_size=2).batches())


def test_batches_have_the_documented_arrays(training, evaluation):
    shapes = {key: (value.dtype.name, value.shape) for key, value in training[0].items()}
    b, t, h, w = shapes["frames"][1][:4]
    length = shapes["text_ids"][1][1]
    assert (b, t, h) == (4, 49, 32)
    assert w in (32, 40, 44)
    assert length in CONFIG.text_lengths
    assert shapes == {
        "frames": ("uint8", (b, t, h, w, 3)),
        "frames_valid": ("bool", (b, t)),
        "sizes": ("int32", (b, 2)),
        "frame_ids": ("int32", (b, t)),
        "text_ids": ("int32", (b, length)),
        "text_valid": ("bool", (b, length)),
        "sample": ("int32", (b,)),
        "in_tube": ("bool", (b, t)),
        "boxes_cxcywh": ("float32", (b, t, 4)),
        "appearance_labels": ("float32", (b, 5)),
        "motion_labels": ("float32", (b, 7)),
    }
    targets = {"in_tube", "boxes_cxcywh", "appearance_labels", "motion_labels"}
    assert evaluation[0].keys() == shapes.keys() - targets | {"pass"}
    assert evaluation[0]["frames"].shape[:3] == (4, 22, 32)


def test_shapes_are_told_by_the_schema(training, evaluation):
    for batch, is_training in ((training[0], True), (evaluation[0], False)):
        b, t, h, w = batch["frames"].shape[:4]
        sizes = {"t": t, "h": h, "w": w, "l": batch["text_ids"].shape[1], "appearance_words": 5, "motion_words": 7}
        told = GROUNDING_BATCH.shapes(b, sizes, training=is_training, sent=False)
        assert told == {name: (value.shape, value.dtype) for name, value in batch.items()}


def test_only_what_a_model_needs_goes_to_the_devices():
    targets = {"in_tube", "boxes_cxcywh", "appearance_labels", "motion_labels"}
    inputs = {"frames", "frames_valid", "sizes", "text_ids", "text_valid"}
    assert set(make_loader(2, training=False).sent) == inputs
    assert set(make_loader(2).sent) == inputs | targets | {"sample"}


def test_a_model_that_reads_tubes_is_told_them_in_evaluation():
    config = dataclasses.replace(CONFIG, reads_tube=True)
    loader = make_loader(3, training=False, config=config)
    assert set(loader.sent) == {*make_loader(3, training=False).sent, "in_tube", "boxes_cxcywh"}
    filling = 0
    for batch in loader.batches():
        for row, index in enumerate(batch["sample"]):
            real = batch["frames_valid"][row]
            if index < 0:
                filling += 1
                assert not batch["in_tube"][row].any() and not batch["boxes_cxcywh"][row].any()
                continue
            sample = loader.samples[index]
            in_tube, boxes = tube_boxes(sample, batch["frame_ids"][row][real].astype(np.int64))
            assert batch["in_tube"][row][real].tolist() == in_tube.tolist() and in_tube.any()
            assert not batch["in_tube"][row][~real].any()
            centres = (boxes[:, :2] + boxes[:, 2:]) / 2
            shown = batch["boxes_cxcywh"][row][real][in_tube]
            np.testing.assert_allclose(shown, np.concatenate([centres, boxes[:, 2:] - boxes[:, :2]], 1), atol=1e-6)
    assert filling == 2


def test_training_from_a_step_equals_training_from_the_beginning(training):
    loader = make_loader(11, seed=3, batch_size=4)
    for step in (1, 3):
        resumed = list(loader.batches(step, step + 2))
        assert len(resumed) == 2
        for batch, uninterrupted in zip(resumed, training[step:], strict=False):
            assert_equal(batch, uninterrupted)


@pytest.mark.parametrize("count", [2, 4])
def test_any_number_of_hosts_sees_the_same_training(training, count):
    hosts = [make_loader(11, seed=3, batch_size=4, hosts=(host, count)) for host in range(count)]
    for step, parts in enumerate(zip(*(loader.batches(1, 3) for loader in hosts), strict=True)):
        assert_equal(joined(parts), training[1 + step])


@pytest.mark.parametrize("settings", [{"threads": 1, "prefetch": 0}, {"threads": 5, "prefetch": 3}])
def test_threads_and_reading_ahead_change_nothing(training, settings):
    loader = make_loader(11, seed=3, batch_size=4, config=dataclasses.replace(CONFIG, **settings))
    for batch, other in zip(loader.batches(0, 3), training, strict=False):
        assert_equal(batch, other)


def test_training_without_an_end_goes_on(training):
    loader = make_loader(11, seed=3, batch_size=4)
    endless = loader.batches(4)
    assert_equal(next(endless), training[4])
    assert len(next(endless)["sample"]) == 4


def test_each_epoch_has_each_sample_at_most_once_in_an_order_of_its_own(training):
    epochs = [np.concatenate([training[step]["sample"] for step in steps]) for steps in ((0, 1), (2, 3))]
    assert all(len(np.unique(epoch)) == 8 for epoch in epochs)
    assert not np.array_equal(*epochs)
    other_seed = next(make_loader(11, seed=4, batch_size=4).batches(0, 1))
    assert not np.array_equal(other_seed["sample"], training[0]["sample"])


def test_draws_differ_from_epoch_to_epoch(training):
    rows = {}
    for step, batch in enumerate(training):
        for row, sample in enumerate(batch["sample"].tolist()):
            rows.setdefault(sample, {})[step] = batch["frames"][row]
    again = [list(steps.values()) for steps in rows.values() if len(steps) > 1]
    assert len(again) > 3
    assert not all(a.shape == b.shape and np.array_equal(a, b) for a, b in again)


def test_rows_show_the_frames_that_they_name(training, evaluation):
    for batch in [*training, *evaluation]:
        for row in np.flatnonzero(batch["sample"] >= 0):
            number = int(batch["frames_valid"][row].sum())
            height, width = batch["sizes"][row]
            pictures = batch["frames"][row, :number, :height, :width]
            # The picture reddens to the right; numbers are read in upright pictures.
            flipped = pictures[0, -1, 0, 0] > pictures[0, -1, -1, 0]
            upright = pictures[:, :, ::-1] if flipped else pictures
            assert numbers_in(upright) == batch["frame_ids"][row, :number].tolist()
            assert not batch["frames"][row, number:].any()
            assert not batch["frames"][row, :, :, width:].any()
            assert not batch["frames"][row, :, height:].any()
            assert not batch["frame_ids"][row, number:].any()


def test_pixels_of_stored_size_are_those_of_the_jpeg():
    samples, store = make_samples(1)
    store.videos["0.mp4"] = stored_video(96, 64, 40, stored=(32, 44))
    loader = Loader(samples, store, tokenize, CONFIG, batch_size=1, training=False)
    batch = next(loader.batches())
    files = store.read("0.mp4", batch["frame_ids"][1][batch["frames_valid"][1]])
    np.testing.assert_array_equal(batch["frames"][1, : len(files), :32, :44], [decode(file) for file in files])


def test_in_tube_and_boxes_belong_to_the_frames():
    loader = make_loader(3, config=dataclasses.replace(CONFIG, flip=0.0, temporal_crop=1.0), batch_size=3, seed=5)
    batch = next(loader.batches(0, 1))
    for row, index in enumerate(batch["sample"]):
        sample, ids = loader.samples[index], batch["frame_ids"][row]
        number = int(batch["frames_valid"][row].sum())
        rng = generator(5, 0, CLIP, int(index))
        expected = training_frame_ids(sample.clip[1], "hcstvg", tube=sample.tube, rng=rng, crop_probability=1.0)
        np.testing.assert_array_equal(ids[:number], expected)
        assert number < sample.clip[1] - 1, "the clip is cropped"
        inside = [frame in range(*sample.tube) for frame in ids[:number]]
        np.testing.assert_array_equal(batch["in_tube"][row], inside + [False] * (len(ids) - number))
        assert sum(inside) == sample.tube[1] - sample.tube[0]
        for frame, is_inside, box in zip(ids, batch["in_tube"][row], batch["boxes_cxcywh"][row], strict=True):
            x1, y1, x2, y2 = box_at(int(frame))
            width, height = sample.width, sample.height
            real = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
            np.testing.assert_allclose(box, real if is_inside else [0] * 4, atol=1e-6)


def test_a_window_shows_a_run_of_each_clip_with_some_of_its_tube():
    config = dataclasses.replace(CONFIG, flip=0.0, temporal_crop=0.0, window=3)
    shown = {}
    for batch in make_loader(4, config=config, batch_size=4).batches(0, 12):
        assert batch["frames"].shape[1] == 3 and batch["frames_valid"].all()
        assert (np.diff(batch["frame_ids"]) == 1).all() and batch["in_tube"].any(axis=1).all()
        for index, ids in zip(batch["sample"], batch["frame_ids"], strict=True):
            shown.setdefault(int(index), set()).add(int(ids[0]))
    assert all(len(starts) > 3 for starts in shown.values()), "each epoch draws another"
    (whole, *_) = make_loader(4, config=config, batch_size=4, training=False).batches()
    assert whole["frames"].shape[1] > 3, "evaluation sees whole clips"


def test_flip_moves_pictures_boxes_and_words_together():
    batches = {}
    for name, config in {
        "as it is": dataclasses.replace(CONFIG, flip=0.0),
        "flipped": FLIPPED,
        "as released": dataclasses.replace(FLIPPED, reference=True),
    }.items():
        (batches[name],) = make_loader(4, config=config, batch_size=4, seed=1).batches(0, 1)
    plain, flipped = batches["as it is"], batches["flipped"]
    np.testing.assert_array_equal(plain["frame_ids"], flipped["frame_ids"])
    for row, (_, width) in enumerate(plain["sizes"]):
        np.testing.assert_array_equal(
            flipped["frames"][row, :, :, :width], plain["frames"][row, :, :, :width][:, :, ::-1]
        )
    inside = plain["in_tube"]
    np.testing.assert_allclose(
        flipped["boxes_cxcywh"][inside][:, 0], 1 - plain["boxes_cxcywh"][inside][:, 0], atol=1e-6
    )
    np.testing.assert_allclose(flipped["boxes_cxcywh"][inside][:, 1:], plain["boxes_cxcywh"][inside][:, 1:], atol=1e-6)
    sentences = {
        "as it is": {0: 1001, 2: 1001, 3: 1002},
        "flipped": {0: 1002, 2: 1001, 3: 1001},
        "as released": {0: 1001, 2: 1001, 3: 1002},
    }
    for name, expected in sentences.items():
        ids = dict(zip(batches[name]["sample"].tolist(), batches[name]["text_ids"].tolist(), strict=True))
        found = {sample: [i for i in row if i > 1000] for sample, row in ids.items()}
        assert found == {1: []} | {sample: [side] for sample, side in expected.items()}, name


def test_labels_are_multi_hot(training):
    batch = training[0]
    for row, sample in enumerate(batch["sample"]):
        assert np.flatnonzero(batch["appearance_labels"][row]).tolist() == [sample % 5]
        assert np.flatnonzero(batch["motion_labels"][row]).tolist() == sorted([sample % 7, (sample + 1) % 7])


def test_texts_are_padded_to_the_bucket_of_the_whole_batch():
    def tokens(text):
        return np.arange(20 if "dog" in text else 5, dtype=np.int32)

    samples, store = make_samples(2)
    batches = []
    for host in range(2):
        loader = Loader(samples, store, tokens, CONFIG, training=False, batch_size=2, hosts=(host, 2))
        batches.append(next(loader.batches()))
    assert [batch["text_valid"].sum(1).tolist() for batch in batches] == [[20, 20], [5, 5]]
    assert [batch["text_ids"].shape for batch in batches] == [(2, 64), (2, 64)]


def test_evaluation_shows_two_interleaved_passes(evaluation):
    for batch in evaluation:
        assert batch["pass"].tolist() == [0, 1, 0, 1]
        for row in range(0, 4, 2):
            if batch["sample"][row] < 0:
                continue
            assert batch["sample"][row] == batch["sample"][row + 1]
            even, odd = InterleavedPasses().split(evaluation_frame_ids(40 + int(batch["sample"][row]), "hcstvg"))
            for offset, ids in enumerate((even, odd)):
                valid = batch["frames_valid"][row + offset]
                assert batch["frame_ids"][row + offset][valid].tolist() == ids.tolist()


@pytest.mark.parametrize(("samples", "count", "batch_size"), [(5, 1, 2), (7, 2, 4), (5, 3, 3)])
def test_evaluation_has_each_sample_on_one_host(samples, count, batch_size):
    seen, steps = [], set()
    for host in range(count):
        loader = make_loader(samples, training=False, batch_size=batch_size, hosts=(host, count))
        batches = list(loader.batches())
        steps.add(len(batches))
        seen += [row for batch in batches for row in zip(batch["sample"].tolist(), batch["pass"].tolist(), strict=True)]
    real = [row for row in seen if row[0] >= 0]
    assert sorted(real) == [(sample, number) for sample in range(samples) for number in (0, 1)]
    assert len(steps) == 1, "every host takes part in every batch"


def test_an_interrupted_evaluation_goes_on_with_what_it_lacks(evaluation):
    rest = list(make_loader(5, training=False, batch_size=2, only=[3, 1, 4]).batches())
    samples = np.concatenate([batch["sample"] for batch in rest])
    assert sorted(samples[samples >= 0].tolist()) == [1, 1, 3, 3, 4, 4]
    whole = joined([{key: batch[key] for key in ("frame_ids", "sample")} for batch in evaluation])
    for batch in rest:
        for sample, number, ids in zip(batch["sample"], batch["pass"], batch["frame_ids"], strict=True):
            if sample >= 0:
                np.testing.assert_array_equal(ids, whole["frame_ids"][whole["sample"] == sample][number])


def test_rows_that_fill_up_a_batch_are_marked_and_harmless(evaluation):
    batch = evaluation[-1]
    assert batch["sample"].tolist()[2:] == [-1, -1]
    assert batch["frames_valid"][2:].sum(1).tolist() == [1, 1]
    assert batch["text_valid"][2:].sum(1).tolist() == [1, 1]
    assert batch["sizes"][2:].tolist() == [list(batch["frames"].shape[2:4])] * 2
    assert not batch["frames"][2:].any()


def test_scales_and_crops_stay_within_the_bucket_and_keep_boxes():
    config = dataclasses.replace(CONFIG, scales=(32, 24), size_crop=0.5)
    sizes = set()
    for batch in make_loader(4, config=config, batch_size=4).batches(0, 6):
        assert np.all(batch["sizes"] <= batch["frames"].shape[2:4])
        sizes |= {tuple(size) for size in batch["sizes"].tolist()}
        boxes = batch["boxes_cxcywh"][batch["in_tube"]]
        assert np.all(boxes[:, 2:] > 0)
        assert np.all(boxes[:, :2] - boxes[:, 2:] / 2 > -1e-6)
        assert np.all(boxes[:, :2] + boxes[:, 2:] / 2 < 1 + 1e-6)
        for row, (height, width) in enumerate(batch["sizes"]):
            valid = batch["frames_valid"][row]
            assert batch["frames"][row][valid][:, height - 1, width // 2].any()
            assert not batch["frames"][row, :, height:].any()
    assert len(sizes) > 6


@pytest.mark.parametrize(("width", "expected"), [(560, 560), (561, 588), (588, 588), (236, 252), (1, 28)])
def test_widths_are_padded_to_windows_and_never_beyond_the_widest_picture(width, expected):
    config = dataclasses.replace(CONFIG, resolution=420, width_multiple=28)
    assert bucket_size((420, width), config) == (420, expected)


def test_the_largest_picture_needs_no_multiple():
    widest = model_size(9, 16, 230)
    assert bucket_size(widest, dataclasses.replace(CONFIG, resolution=230, width_multiple=28)) == widest == (230, 322)


@pytest.mark.parametrize(
    ("original", "shown", "padded"),
    [
        ((720, 1280), (405, 720), (420, 720)),
        ((640, 360), (720, 405), (720, 420)),
        ((300, 300), (448, 448), (448, 448)),
        # Rounding the shorter side makes the longer one exceed its limit.
        ((100, 410), (176, 721), (196, 721)),
    ],
)
def test_pictures_that_keep_their_proportions_are_padded_on_both_sides(original, shown, padded):
    config = dataclasses.replace(CONFIG, resolution=448, width_multiple=28, sizing="proportional")
    assert model_size(*original, 448, "proportional") == shown
    assert bucket_size(shown, config) == padded


@pytest.mark.parametrize("training", [True, False])
def test_batches_hold_pictures_that_keep_their_proportions(training):
    """Also those that are left over of another bucket, which may be higher and narrower."""
    config = dataclasses.replace(CONFIG, resolution=24, sizing="proportional")
    loader = make_loader(7, config=config, training=training, batch_size=3)
    shapes, sizes = set(), set()
    for batch in loader.batches(0, loader.steps_per_epoch):
        _, _, rows, columns, _ = batch["frames"].shape
        shapes.add((rows, columns))
        real = batch["sample"] >= 0
        for height, width in batch["sizes"][real]:
            assert min(height, width) == 24 and height <= rows and width <= columns
            sizes.add((int(height), int(width)))
    assert {size for size in sizes if size[0] > size[1]} and {size for size in sizes if size[0] < size[1]}
    frames, rows, columns = loader.largest_clip
    assert max(shape[0] for shape in shapes) == rows and max(shape[1] for shape in shapes) == columns


def test_rows_are_as_long_as_the_longest_sample_makes_them():
    two = InterleavedPasses(2)
    samples, store = make_samples(3, frames=600)
    assert most_frames(samples, store.videos, CONFIG, None) == 65
    assert most_frames(samples, store.videos, CONFIG, two) == 65
    vidstg = dataclasses.replace(CONFIG, sampling="vidstg")
    assert most_frames(samples, store.videos, vidstg, None) == 64
    assert most_frames(samples, store.videos, vidstg, two) == 64
    short, store = make_samples(1, frames=9)
    assert most_frames(short, store.videos, vidstg, None) == 9


def test_needed_frames_are_those_that_a_loader_asks_for():
    (sample,), store = make_samples(1, frames=600)
    video, vidstg = store.videos[sample.video], dataclasses.replace(CONFIG, sampling="vidstg")
    assert len(needed_frame_ids(sample, video, CONFIG, None)) == 65
    assert len(needed_frame_ids(sample, video, CONFIG, InterleavedPasses(2))) == 129
    assert len(needed_frame_ids(sample, video, CONFIG, InterleavedPasses(1))) == 65
    assert len(needed_frame_ids(sample, video, vidstg, None)) == 600
    assert len(needed_frame_ids(sample, video, dataclasses.replace(vidstg, temporal_crop=0.0), None)) == 64


@pytest.mark.parametrize("passes", [1, 3])
def test_evaluation_shows_as_many_passes_as_asked_for(passes):
    (batch,) = make_loader(2, training=False, batch_size=2, passes=InterleavedPasses(passes)).batches()
    assert batch["pass"].tolist() == [*range(passes)] * 2
    assert sorted(batch["sample"].tolist()) == [0] * passes + [1] * passes
    for first in (0, passes):
        rows = range(first, first + passes)
        shown = [batch["frame_ids"][row][batch["frames_valid"][row]] for row in rows]
        sampled = evaluation_frame_ids(40 + int(batch["sample"][first]), "hcstvg", passes=passes)
        assert [ids.tolist() for ids in shown] == [ids.tolist() for ids in InterleavedPasses(passes).split(sampled)]


def test_an_evaluation_in_parts_fills_up_the_rows_of_short_clips():
    parts = ConsecutiveParts(frames_at_once=25, rows=3)
    (batch,) = make_loader(2, training=False, batch_size=2, passes=parts).batches()
    assert batch["frames"].shape[:2] == (6, 25)
    assert batch["sample"].tolist() in ([0, 0, -1, 1, 1, -1], [1, 1, -1, 0, 0, -1])
    for row in (0, 3):
        sampled = evaluation_frame_ids(40 + int(batch["sample"][row]), "hcstvg", passes=1)
        shown = batch["frame_ids"][row : row + 2][batch["frames_valid"][row : row + 2]]
        assert shown.tolist() == sampled.tolist() and len(sampled) > 25
        assert not batch["frames"][row + 2].any()


def test_tokenize_sees_the_text_that_the_model_reads():
    seen = []

    def listen(text):
        seen.append(text)
        return tokenize(text)

    samples, store = make_samples(1)
    Loader(samples, store, listen, CONFIG, training=True, batch_size=1)
    assert seen == ["the man the man walks to the left.", "the man the man walks to the right."]


def test_a_rule_may_ask_for_the_rate_of_the_video(monkeypatch):
    class PerSecond(EvenlySpaced):
        """`sample_fps` frames of each real second."""

        def spread(self, frame_count, amount):
            return np.arange(0, frame_count, round(amount.video_fps / amount.sample_fps))

    monkeypatch.setitem(FRAME_RULES, "per_second", PerSecond())
    config = dataclasses.replace(CONFIG, sampling="per_second", sample_fps=2.0)
    samples, store = make_samples(1)
    video, one = store.videos[samples[0].video], InterleavedPasses(1)
    assert video.fps == 10
    assert needed_frame_ids(samples[0], video, config, one).tolist() == [0, 5, 10, 15, 20, 25, 30, 35]
