"""tensorflow-datasets reads what the annotations and the store of frames say."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.datasets.reading import read_annotations
from stvg_jax.data_pipeline.shards import FrameStore, Settings, prepare_frames, wanted_frames
from stvg_jax.data_pipeline.shards.jpeg import decode
from stvg_jax.data_pipeline.video import open_video
from tests.data_pipeline.tfds.examples import assert_same_records, read, read_files
from tests.datasets import write_hcstvg
from tests.test_imports import offences, within
from tests.videos import write_video

# Lower than the videos, so that frames are resized.
SETTINGS = Settings(height=48)


def test_importing_the_package_registers_the_datasets():
    import tensorflow_datasets as tfds

    import stvg_jax.data_pipeline.tfds  # noqa: F401

    assert {"hcstvg", "vidstg", "shapes"} <= set(tfds.list_builders(with_community_datasets=False))
    assert [list(tfds.builder_cls(name).builder_configs) for name in ("hcstvg", "vidstg", "shapes")] == [
        ["v1", "v2"],
        ["both", "declarative", "interrogative"],
        ["full", "small"],
    ]


def test_nothing_else_imports_tensorflow_datasets_or_beam():
    def allowed(module, name):
        heavy = within(name, "tensorflow_datasets", "apache_beam", "stvg_jax.data_pipeline.tfds")
        return not heavy or within(module, "stvg_jax.data_pipeline.tfds")

    assert offences(("stvg_jax", "configs", "convert", "data_pipeline"), allowed, everywhere=True) == []


def test_without_the_extra_the_way_out_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    monkeypatch.delitem(sys.modules, "stvg_jax.data_pipeline.tfds", raising=False)
    with pytest.raises(InputError, match=r"need tensorflow-datasets; pip install .*\[tfds\]"):
        import stvg_jax.data_pipeline.tfds  # noqa: F401


@pytest.mark.parametrize(("dataset", "videos"), [("hcstvg", "v1_video"), ("vidstg", "videos")])
def test_records_and_frames(manual, prepare, tmp_path, dataset, videos):
    import tensorflow as tf

    from stvg_jax.data_pipeline.tfds import HcstvgConfig, VidstgConfig

    kind = {"hcstvg": HcstvgConfig, "vidstg": VidstgConfig}[dataset]
    builder = prepare(dataset, manual, kind(name="low", height=SETTINGS.height))
    samples = read_annotations(dataset, manual / dataset, split="test").samples
    examples, files = read(builder), read_files(builder)
    assert_same_records(examples, samples)

    wanted = wanted_frames(samples, dataset, "sampled")
    prepare_frames(wanted, manual / dataset / videos, tmp_path / "store", SETTINGS, processes=1, say=lambda line: None)
    store = FrameStore(tmp_path / "store")
    for sample in samples:
        ids = examples[sample.id]["frame_ids"]
        np.testing.assert_array_equal(ids, wanted_frames([sample], dataset, "sampled")[sample.video])
        expected = [decode(data) for data in store.read(sample.video, ids)]
        jpegs = files[sample.id]["frames"]
        np.testing.assert_array_equal([decode(data) for data in jpegs], expected)
        accurate = [tf.io.decode_jpeg(data, dct_method="INTEGER_ACCURATE").numpy() for data in jpegs]
        np.testing.assert_array_equal(accurate, expected)
        # TensorFlow's quick transform, which it takes unless told otherwise.
        assert np.abs(examples[sample.id]["frames"] - np.array(expected, int)).mean() < 1
        assert expected[0].shape[0] == SETTINGS.height


def test_splits_are_those_that_are_there_and_the_dataset_may_be_the_manual_folder_itself(manual, prepare):
    builder = prepare("hcstvg", manual / "hcstvg")
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {"train": 2, "test": 3}
    frames = read(builder, "train")["0"]["frames"]
    # The default height is above that of the video, which keeps its size; JPEG alone makes a difference.
    with open_video(manual / "hcstvg" / "v1_video" / "0_train.mp4") as reader:
        decoded = reader.read(np.arange(len(frames)))
    assert frames.shape == decoded.shape
    assert np.abs(frames.astype(int) - decoded).mean() < 2


def test_releases_of_hcstvg_in_one_folder_are_not_taken_for_each_other(prepare, tmp_path):
    """As CG-STVG's release lays them out."""
    folder = tmp_path / "both"
    for release, split, count in ((1, "test", 1), (2, "val", 2)):
        write_hcstvg(tmp_path / f"{release}", count=count, frames=20, split=split)
        (folder / "annos" / f"hcstvg_v{release}").mkdir(parents=True)
        (tmp_path / f"{release}" / "annos" / f"{split}.json").rename(
            folder / "annos" / f"hcstvg_v{release}" / f"{split}.json"
        )
        (tmp_path / f"{release}" / "v1_video").rename(folder / f"v{release}_video")
    counts = {}
    for config in ("v1", "v2"):
        splits = prepare(f"hcstvg/{config}", folder).info.splits
        counts[config] = {name: split.num_examples for name, split in splits.items()}
    assert counts == {"v1": {"test": 1}, "v2": {"val": 2}}


def test_vidstg_by_kind(manual, prepare):
    samples = read_annotations("vidstg", manual / "vidstg", split="test").samples
    for kind in ("declarative", "interrogative"):
        examples = read(prepare(f"vidstg/{kind}", manual))
        assert_same_records(examples, [sample for sample in samples if sample.kind == kind])


def test_shapes_are_generated(prepare, tmp_path):
    from stvg_jax.data_pipeline.tfds import ShapesConfig

    builder = prepare("shapes", config=ShapesConfig(name="tiny", train=2, val=0, test=1, seed=3))
    assert set(builder.info.splits) == {"train", "test"}
    made = tmp_path / "downloads" / "shapes" / "tiny"
    for split in ("train", "test"):
        examples = read(builder, split)
        assert_same_records(examples, read_annotations("hcstvg", made, split=split).samples)
        for example in examples.values():
            np.testing.assert_array_equal(example["frame_ids"], np.arange(64))
            with open_video(made / "v1_video" / example["video"].decode()) as reader:
                decoded = reader.read(example["frame_ids"])
            assert np.abs(example["frames"].astype(int) - decoded).mean() < 2


def test_beam_prepares_the_same_examples(manual, prepare):
    pytest.importorskip("apache_beam", reason="the extra tfds is not installed")
    from stvg_jax.data_pipeline.tfds import VidstgConfig

    alone = read_files(prepare("vidstg", manual))
    builder = prepare("vidstg", manual, VidstgConfig(name="by_beam"), beam_runner="DirectRunner")
    together = read_files(builder)
    assert list(together) == list(alone)
    for id, example in alone.items():
        for name, value in example.items():
            np.testing.assert_array_equal(together[id][name], value)


def damaged(manual, folder, annotations=None, video=None):
    shutil.copytree(manual / "hcstvg", folder)
    if annotations is not None:
        (folder / "annos" / "test.json").write_text(json.dumps(annotations))
    if video is not None:
        (folder / "v1_video" / "1_test.mp4").write_bytes(video)
    return folder


def test_bad_folders_and_annotations_are_refused_before_a_video_is_decoded(manual, prepare, tmp_path, monkeypatch):
    from stvg_jax.data_pipeline.tfds import examples

    monkeypatch.setattr(examples, "open_video", None)
    with pytest.raises(InputError, match=r"does not exist or is empty(.|\n)*annos/train.json"):
        prepare("hcstvg", tmp_path / "nothing")
    with pytest.raises(InputError, match=r"have no annotations of vidstg/both(.|\n)*sent_annos/train_annotations.json"):
        prepare("vidstg", manual / "hcstvg" / "v1_video")
    with pytest.raises(InputError, match="one folder of videos, called v2_video or video or videos; it has none"):
        prepare("hcstvg/v2", manual)
    with pytest.raises(InputError, match="there is no caption"):
        prepare("hcstvg", damaged(manual, tmp_path / "a", annotations={"0_test.mp4": {}}))
    (damaged(manual, tmp_path / "b") / "v1_video" / "2_test.mp4").unlink()
    with pytest.raises(InputError, match="missing video"):
        prepare("hcstvg", tmp_path / "b")


def test_a_damaged_video_ends_the_preparation_unless_it_may_be_left_out(manual, prepare, tmp_path):
    from stvg_jax.data_pipeline.tfds import HcstvgConfig

    folder = damaged(manual, tmp_path / "a", video=b"no video")
    with pytest.raises(InputError, match="1_test.mp4: not a video file"):
        prepare("hcstvg", folder)
    builder = prepare("hcstvg", folder, HcstvgConfig(name="rest", on_problem="exclude"))
    assert set(read_files(builder)) == {"0", "2"}


def test_a_video_of_another_size_is_refused(manual, prepare, tmp_path):
    folder = damaged(manual, tmp_path / "a")
    write_video(folder / "v1_video" / "1_test.mp4", 50, (32, 32))
    with pytest.raises(InputError, match="the annotation says 64 x 80, the video is 32 x 32"):
        prepare("hcstvg", folder)


@pytest.mark.parametrize(
    ("dataset", "values", "said"),
    [
        ("Hcstvg", {"height": -1}, "height -1"),
        ("Hcstvg", {"height": "224"}, "height='224': must be a whole number"),
        ("Hcstvg", {"quality": 0}, "quality 0"),
        ("Hcstvg", {"frames": "some"}, "frames='some' is unknown; choose one of sampled, clips, all"),
        ("Hcstvg", {"on_problem": "ignore"}, "on_problem='ignore' is unknown"),
        ("Hcstvg", {"release": 3}, "release=3"),
        ("Vidstg", {"kind": "questions"}, "kind='questions' is unknown; choose one of both, declarative, interrog"),
        ("Shapes", {"train": -1}, "zero or more"),
        ("Shapes", {"scenes": "none"}, "unknown kind"),
    ],
)
def test_bad_configurations_are_refused(dataset, values, said):
    from stvg_jax.data_pipeline import tfds

    with pytest.raises(InputError, match=said):
        getattr(tfds, f"{dataset}Config")(name="mine", **values)
