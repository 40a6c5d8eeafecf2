"""All that cannot be loaded is told before the first batch; damage on the way names its frame."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.loading.config import LoaderConfig
from stvg_jax.data_pipeline.loading.loader import Loader
from stvg_jax.data_pipeline.shards import Settings
from tests.data_pipeline.loading.cases import CONFIG, make_loader, make_samples, tokenize


def load(samples, store, **options):
    return Loader(samples, store, tokenize, CONFIG, **({"training": True, "batch_size": 1} | options))


def test_all_problems_are_told_together():
    samples, store = make_samples(6)
    del store.videos["0.mp4"]
    samples[1] = dataclasses.replace(samples[1], sentence="word " * 40)
    store.videos["2.mp4"] = dataclasses.replace(store.videos["2.mp4"], frames="0-20")
    samples[3] = dataclasses.replace(samples[3], motion_labels=None)
    samples[4] = dataclasses.replace(samples[4], appearance_labels=(5,))
    store.videos["5.mp4"] = dataclasses.replace(store.videos["5.mp4"], frame_count=30)
    with pytest.raises(InputError) as caught:
        load(samples, store)
    told = str(caught.value)
    assert "6 problems" in told
    for part in (
        "0.mp4: sample 100: store its frames",
        "1.mp4: sample 101: 42 words are too many",
        "2.mp4: sample 102: 20 of 41 are missing, the first is 21",
        "3.mp4: sample 103",
        "no motion labels",
        "words 0 to 4",
        "5.mp4: sample 105: frame 43 is needed, the video has frames 0 to 29",
    ):
        assert part in told, part


@pytest.mark.parametrize("training", [True, False])
def test_frames_that_were_reduced_for_another_model_are_refused(training):
    """And those that were not reduced, and those that were for this one, are taken."""
    samples, store = make_samples(2)
    store.videos["1.mp4"] = dataclasses.replace(store.videos["1.mp4"], width=640, height=480)
    load(samples, store, training=training)
    sharp = dataclasses.replace(CONFIG, sizing="proportional")
    with pytest.raises(InputError, match=r"frames reduced for another model \(1\)") as caught:
        Loader(samples, store, tokenize, sharp, training=training, batch_size=1)
    assert "1.mp4: sample 101: they have 420 pixels by the size rule squeezed, and this model takes 32" in str(
        caught.value
    )
    assert "by proportional; prepare them in another folder" in str(caught.value)
    store.settings = Settings(32, sizing="proportional")
    Loader(samples, store, tokenize, sharp, training=training, batch_size=1)


def test_evaluation_needs_no_labels():
    samples, store = make_samples(1)
    unlabelled = [dataclasses.replace(samples[0], motion_labels=None, appearance_labels=None)]
    assert load(unlabelled, store, training=False).steps_per_epoch == 1


def test_a_text_longer_than_the_longest_bucket_is_told():
    samples, store = make_samples(1)
    with pytest.raises(InputError, match="10 tokens, text_lengths goes up to 8"):
        Loader(samples, store, tokenize, dataclasses.replace(CONFIG, text_lengths=(4, 8)), training=True, batch_size=1)


def test_a_damaged_frame_is_named_when_its_batch_is_reached():
    samples, store = make_samples(3)
    store.damaged = {("2.mp4", 12)}
    order = []
    with pytest.raises(InputError, match="2.mp4: stored frame 12 is damaged"):
        for batch in load(samples, store, training=False).batches():
            order.append(int(batch["sample"][0]))
    assert order == [1, 0], "what comes before the damage arrives; the narrowest is first"


def test_a_store_that_fails_is_quoted():
    samples, store = make_samples(1)
    loader = load(samples, store, training=False)

    def fail(video, frame_ids):
        raise InputError(f"{video}: the shard is gone")

    store.read = fail
    with pytest.raises(InputError, match="0.mp4: the shard is gone"):
        next(loader.batches())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 3, "hosts": (0, 2)}, "batch_size=3 must be positive and a multiple of the number of hosts, 2"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"hosts": (2, 2), "batch_size": 2}, "host 2 of 2"),
        ({"batch_size": 9}, "training on 5 samples with batch_size=9"),
        ({"only": [1]}, "it needs all samples"),
        ({"only": [5], "training": False}, "run from 0 to 4"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_arguments_that_do_not_fit_are_named(options, message):
    with pytest.raises(InputError, match=message):
        make_loader(5, **options)


@pytest.mark.parametrize(("first", "last"), [(-1, 2), (2, 1), (0, 4)])
def test_steps_outside_an_evaluation_are_refused(first, last):
    with pytest.raises(InputError, match="its own are 0:3"):
        make_loader(5, training=False).batches(first, last)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"sampling": "ava"}, "'ava'; choose one of hcstvg, vidstg"),
        ({"flip": 1.5}, "flip=1.5 is a probability"),
        ({"resolution": 0}, "resolution=0 must be positive"),
        ({"threads": -1}, "threads=-1 must not be negative"),
        ({"text_lengths": (64, 32)}, "ascending"),
        ({"scales": (420, 452)}, "between 1 and the resolution, 420"),
    ],
)
def test_settings_that_make_no_sense_are_named(setting, message):
    with pytest.raises(InputError, match=message):
        LoaderConfig(**setting)


def test_importing_the_loader_does_not_import_tensorflow():
    program = "import sys, data_pipeline.loading; print({'tensorflow', 'jax'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "set()"


def test_without_tensorflow_the_way_out_is_told():
    program = """if True:
        import sys
        sys.modules["tensorflow"] = None
        from tests.data_pipeline.loading.cases import make_loader
        try:
            next(make_loader(2).batches(0, 1))
        except Exception as error:
            print(type(error).__name__, error)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "InputError" in done.stdout
    assert "pip install -e '.[data]'" in done.stdout


def test_frames_are_uint8_and_not_normalised():
    batch = next(make_loader(2, training=False).batches())
    assert batch["frames"].max() > 200
    assert batch["frames"].dtype == np.uint8


def test_defaults_are_those_of_the_released_hcstvg_models():
    assert dataclasses.asdict(LoaderConfig()) == {
        "sampling": "hcstvg",
        "sample_fps": 3.2,
        "frames_per_pass": 64,
        "resolution": 420,
        "sizing": "squeezed",
        "frames_at_once": 0,
        "width_multiple": 28,
        "text_lengths": (32, 64, 128, 256, 512),
        "temporal_crop": 0.5,
        "window": 0,
        "flip": 0.7,
        "scales": (),
        "size_crop": 0.0,
        "crop_scales": (),
        "crop_sides": (),
        "crop_tries": 50,
        "reference": False,
        "reads_subject": True,
        "appearance_words": 0,
        "motion_words": 0,
        "reads_tube": False,
        "threads": 0,
        "prefetch": 1,
    }


@pytest.mark.parametrize(
    "setting",
    [{"temporal_crop": 0}, {"flip": 1}, {"size_crop": 1}, {"window": 0}, {"scales": (1, 420)}, {"text_lengths": (1,)}],
)
def test_settings_at_their_bounds_are_taken(setting):
    (name,) = setting
    assert getattr(LoaderConfig(**setting), name) == setting[name]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"temporal_crop": -0.1}, "temporal_crop=-0.1 is a probability"),
        ({"size_crop": 1.1}, "size_crop=1.1 is a probability"),
        ({"width_multiple": 0}, "width_multiple=0 must be positive"),
        ({"sample_fps": float("nan")}, "sample_fps=nan must be positive"),
        ({"window": -1}, "window=-1 must not be negative"),
        ({"prefetch": -1}, "prefetch=-1 must not be negative"),
        ({"text_lengths": ()}, "text_lengths=\\(\\) must be positive and ascending"),
        ({"text_lengths": (0, 8)}, "must be positive"),
        ({"text_lengths": (8, 8)}, "ascending"),
        ({"scales": (0,)}, "between 1 and the resolution"),
    ],
)
def test_settings_just_beyond_their_bounds_are_named(setting, message):
    with pytest.raises(InputError, match=message):
        LoaderConfig(**setting)


def test_threads_are_one_for_each_core_unless_told():
    assert LoaderConfig(threads=3).thread_count == 3
    assert LoaderConfig().thread_count == (os.cpu_count() or 1)
