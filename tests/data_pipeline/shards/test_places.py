"""Frames of one video never come in the place of another's, whatever became of the files of a store."""

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest

from stvg_jax.cli import main
from stvg_jax.core.errors import InputError
from stvg_jax.core.files import seal
from stvg_jax.data_pipeline.shards import FrameStore, Settings, check_store, prepare_frames
from stvg_jax.data_pipeline.shards.jpeg import MARK_END
from stvg_jax.data_pipeline.shards.records import RecordReader, RecordWriter
from tests.damage import changed_texts, cut_texts, damaged_objects
from tests.data_pipeline.shards.test_store import numbers, shard_of
from tests.videos import write_video

SETTINGS = Settings(height=0)
# Equally many frames of one size.
VIDEOS = ("a.mp4", "b.mp4")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Stores of different videos under the same names, `first` and `second`; not to be changed."""
    root = tmp_path_factory.mktemp("pairs")
    for number, name in enumerate(("first", "second")):
        videos = root / f"{name}_videos"
        videos.mkdir()
        for video in VIDEOS:
            write_video(videos / video, count=6, fps=10 + 5 * number)
        prepare_frames(dict.fromkeys(VIDEOS), videos, root / name, SETTINGS, processes=1, say=lambda line: None)
    return root


@pytest.fixture
def pair(pairs, tmp_path):
    return shutil.copytree(pairs / "first", tmp_path / "store")


def exchange(one, other):
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def rewritten(shard, order):
    """A shard with the same records in another order."""
    records = RecordReader(shard, len(order)).read(list(order))
    with RecordWriter(shard) as writer:
        for record in records:
            writer.write(record)


def test_shards_that_changed_places_are_noticed_at_the_first_frame(pair, capsys):
    exchange(shard_of(pair, "a.mp4"), shard_of(pair, "b.mp4"))
    for frame in range(6):
        with pytest.raises(InputError, match=f"for frame {frame} of a.mp4 is of another frame.*--check"):
            FrameStore(pair).read("a.mp4", [frame])
    assert sorted(check_store(shutil.copytree(pair, pair.with_name("other")), fast=True)) == list(VIDEOS)
    assert main(["prepare", "frames", "--check", "--fast", "--out", str(pair)]) == 2
    assert "a.mp4: the record for frame 0 in its shard is of another frame" in capsys.readouterr().out


def test_a_shard_of_another_store_is_noticed(pair, pairs):
    shutil.copy(shard_of(pairs / "second", "a.mp4"), shard_of(pair, "a.mp4"))
    with pytest.raises(InputError, match="copied from another store"):
        FrameStore(pair).read("a.mp4", [3])
    assert numbers(FrameStore(pair), "b.mp4", [3]) == [3]
    assert list(check_store(pair, fast=True)) == ["a.mp4"]


def test_a_shard_of_the_same_video_in_other_quality_is_noticed(pair, pairs, tmp_path):
    other = dataclasses.replace(SETTINGS, quality=90)
    videos = pairs / "first_videos"
    prepare_frames(dict.fromkeys(VIDEOS), videos, tmp_path / "other", other, processes=1, say=lambda line: None)
    shutil.copy(shard_of(tmp_path / "other", "a.mp4"), shard_of(pair, "a.mp4"))
    with pytest.raises(InputError, match="another frame"):
        FrameStore(pair).read("a.mp4", [3])


def test_records_in_another_order_are_noticed(pair):
    rewritten(shard_of(pair, "a.mp4"), [0, 2, 1, 3, 4, 5])
    assert numbers(FrameStore(pair), "a.mp4", [0, 3]) == [0, 3]
    for frame in (1, 2):
        with pytest.raises(InputError, match=f"for frame {frame} of a.mp4"):
            FrameStore(pair).read("a.mp4", [0, frame])
    for fast in (True, False):
        copy = shutil.copytree(pair, pair.with_name(f"copy_{fast}"))
        assert list(check_store(copy, fast=fast)) == ["a.mp4"]


def test_the_frames_of_a_part_of_a_video_know_their_numbers(pairs, tmp_path):
    wanted = {"a.mp4": np.array([1, 2, 5])}
    prepare_frames(wanted, pairs / "first_videos", tmp_path / "s", SETTINGS, processes=1, say=lambda line: None)
    assert numbers(FrameStore(tmp_path / "s"), "a.mp4", [5, 1]) == [5, 1]
    assert check_store(tmp_path / "s") == check_store(tmp_path / "s", fast=True) == {}
    rewritten(shard_of(tmp_path / "s", "a.mp4"), [1, 0, 2])
    with pytest.raises(InputError, match="for frame 2 of a.mp4"):
        FrameStore(tmp_path / "s").read("a.mp4", [2])


def test_an_entry_of_another_video_is_told(pair):
    """Its seal is a checksum, which anybody can compute."""
    manifest = json.loads((pair / "manifest.json").read_text())
    del manifest["sha256"]
    videos = manifest["videos"]
    videos["a.mp4"], videos["b.mp4"] = videos["b.mp4"], videos["a.mp4"]
    (pair / "manifest.json").write_text(seal(json.dumps(manifest)))
    with pytest.raises(InputError, match="the entry of 'a.mp4' is of another video, or of other frames"):
        FrameStore(pair)


def test_an_entry_without_identity_is_one_of_the_first_version(pair):
    """Early versions wrote such entries beside others when they added to a store of the first version."""
    manifest = json.loads((pair / "manifest.json").read_text())
    del manifest["sha256"]
    manifest["videos"]["b.mp4"]["identity"] = None
    (pair / "manifest.json").write_text(seal(json.dumps(manifest)))
    store = FrameStore(pair)
    with pytest.raises(InputError, match="for frame 2 of b.mp4 is of another frame or video"):
        store.read("b.mp4", [2])
    assert check_store(pair, fast=True).keys() == {"b.mp4"}


@pytest.mark.parametrize("size", [50, 3_000, 64_000, 65_480, 200_000])
def test_the_first_bytes_of_records_are_found_without_the_others(tmp_path, size):
    """Wherever in the file they stand, across the headers of its blocks as well."""
    random = np.random.default_rng(size)
    records = [random.bytes(length) for length in random.integers(1, size, 100)] + [random.bytes(size)]
    with RecordWriter(tmp_path / "a") as writer:
        for record in records:
            writer.write(record)
    for length in (1, 36):
        heads = RecordReader(tmp_path / "a", len(records)).heads(length)
        wanted = [record[:length] for record in records]
        # After a shorter record come bytes of the next chunk.
        assert [head[: len(record)] for head, record in zip(heads, wanted, strict=True)] == wanted


def test_a_damaged_chunk_is_told_by_the_fast_check(pair):
    shard = shard_of(pair, "a.mp4")
    data = bytearray(shard.read_bytes())
    first = data.index(b"r\1\0\0\0\0\0\0") - 24
    for place, change in ((first + 8, b"\xff" * 8), (first + 24, b"?")):
        shard.write_bytes(data[:place] + change + data[place + len(change) :])
        with pytest.raises(InputError, match="a frame cannot be found"):
            list(RecordReader(shard, 6).heads(36))


def remove_marks(shard):
    """Leaves the frames of a shard as the first version stored them."""
    records = RecordReader(shard, 6).read(list(range(6)))
    with RecordWriter(shard) as writer:
        for record in records:
            writer.write(record[:20] + record[MARK_END:])


@pytest.fixture
def earlier(pair):
    """A store as the first version of the format left it."""
    manifest = json.loads((pair / "manifest.json").read_text())
    del manifest["sha256"]
    for name, entry in manifest["videos"].items():
        del entry["identity"]
        remove_marks(shard_of(pair, name))
        content = shard_of(pair, name).read_bytes()
        entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest["format"] = "stvg_jax.frames/1"
    (pair / "manifest.json").write_text(seal(json.dumps(manifest)))
    begun = {"format": "stvg_jax.frames/1", "settings": SETTINGS.values, "videos": 2}
    (pair / "settings.json").write_text(json.dumps(begun))
    return pair


def test_a_store_of_the_first_version_is_read_and_added_to(earlier, pairs, capsys):
    assert numbers(FrameStore(earlier), "a.mp4", [4, 0]) == [4, 0]
    assert main(["prepare", "frames", "--check", "--out", str(earlier)]) == 0
    assert "2 of 2 videos were stored by an earlier version" in capsys.readouterr().out
    videos = shutil.copytree(pairs / "first_videos", earlier.with_name("videos"))
    shutil.copy(videos / "a.mp4", videos / "c.mp4")
    prepare_frames(dict.fromkeys([*VIDEOS, "c.mp4"]), videos, earlier, SETTINGS, processes=1, say=lambda line: None)
    stored = FrameStore(earlier)
    assert [stored.videos[name].identity is None for name in (*VIDEOS, "c.mp4")] == [True, True, False]
    assert numbers(stored, "c.mp4", [4]) == numbers(stored, "a.mp4", [4]) == [4]
    assert check_store(earlier) == check_store(earlier, fast=True) == {}
    # Until all shards have been stored again.
    formats = [json.loads((earlier / "manifest.json").read_text())["format"]]
    for path in (videos / name for name in VIDEOS):
        path.write_bytes(path.read_bytes() + b"\0\0\0\x08free")
    prepare_frames(dict.fromkeys([*VIDEOS, "c.mp4"]), videos, earlier, SETTINGS, processes=1, say=lambda line: None)
    formats.append(json.loads((earlier / "manifest.json").read_text())["format"])
    assert formats == ["stvg_jax.frames/1", "stvg_jax.frames/2"]


def refuses_settings(store, text):
    (store / "settings.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=r"settings.json: (damaged|a store of version)") as error:
        check_store(store, fast=True)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 700


def test_every_damage_to_the_settings_is_told(pair):
    text = (pair / "settings.json").read_text()
    for _, changed in [*changed_texts(text), *cut_texts(text)]:
        refuses_settings(pair, changed)
    (pair / "settings.json").write_text(text.replace("95", "94"))
    with pytest.raises(InputError, match=r"settings.json: damaged .its checksum does not fit.;"):
        check_store(pair)


def test_damage_to_the_settings_of_the_first_version_is_told(earlier):
    content = json.loads((earlier / "settings.json").read_text())
    inner = [
        json.dumps(content | {"settings": json.loads(text)})
        for _, text in damaged_objects(content["settings"])
        if not text.startswith("[[[")
    ]
    for text in [*(text for _, text in damaged_objects(content)), *inner]:
        refuses_settings(earlier, text)
