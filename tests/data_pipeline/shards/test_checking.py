"""Damage in a store: found, named, and mended by the next run."""

import json

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.core.files import seal, unseal
from stvg_jax.data_pipeline.shards import FrameStore, check_store, prepare_frames
from stvg_jax.data_pipeline.shards.folder import StoreFolder
from tests.data_pipeline.shards.conftest import SETTINGS
from tests.data_pipeline.shards.test_store import numbers, shard_of


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 16
    path.write_bytes(data)


def test_a_whole_store_has_no_damage(whole_store):
    assert check_store(whole_store) == {}
    assert check_store(whole_store, fast=True) == {}


def test_a_flipped_bit_is_found_wherever_it_is(store):
    generator = np.random.default_rng(0)
    for video, entry in FrameStore(store).videos.items():
        flip(store / entry.file, generator.integers(entry.bytes))
        assert "checksum" in check_store(store)[video]


def test_all_damage_is_listed_and_mended_by_the_next_run(store, videos, capsys):
    stored = FrameStore(store).videos
    cut, lost, flipped = (shard_of(store, name) for name in ("b-frames.mp4", "irregular.mkv", "no-times.avi"))
    cut.write_bytes(cut.read_bytes()[:-1])
    lost.unlink()
    flip(flipped, 70_000)
    assert check_store(store, fast=True) == {
        "b-frames.mp4": f"its shard has {stored['b-frames.mp4'].bytes - 1:,} bytes "
        f"instead of {stored['b-frames.mp4'].bytes:,}",
        "irregular.mkv": "its shard is missing",
    }
    assert sorted(check_store(store)) == ["b-frames.mp4", "irregular.mkv", "no-times.avi"]
    before = {name: shard_of(store, name).stat().st_mtime_ns for name in ("one-frame.mp4", "deep/er/rotated.mp4")}
    prepare_frames(dict.fromkeys(stored), videos, store, SETTINGS, processes=1)
    assert "to be stored again, shard lost: 3" in capsys.readouterr().out
    assert check_store(store) == {}
    assert numbers(FrameStore(store), "no-times.avi", range(30)) == list(range(30))
    assert FrameStore(store).videos == stored
    assert {name: shard_of(store, name).stat().st_mtime_ns for name in before} == before
    assert not list(store.rglob("*.damaged"))


def test_there_must_be_a_store_to_check(tmp_path):
    with pytest.raises(InputError, match="no finished store"):
        check_store(tmp_path)
    with pytest.raises(InputError, match="no finished store"):
        check_store(tmp_path / "absent")


@pytest.mark.parametrize("absolute", [True, False])
def test_a_manifest_cannot_lead_out_of_the_store(store, tmp_path, absolute):
    """Its seal is a checksum, which anybody can compute; `check_store` sets aside what it finds damaged."""
    precious = tmp_path / "precious.txt"
    precious.write_text("to stay where it is")
    content = unseal((store / "manifest.json").read_text())
    content.pop("sha256", None)
    content["videos"]["one-frame.mp4"]["file"] = str(precious) if absolute else "shards/../../precious.txt"
    (store / "manifest.json").write_text(seal(json.dumps(content)))
    with pytest.raises(InputError, match="damaged or made up"):
        check_store(store)
    assert precious.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"settings": None},
        {"settings": {"height": "48", "quality": 95, "subsampling": "4:4:4"}},
        {"settings": {"quality": []}},
        {"videos": 3},
        {"videos": {"a.mp4": "x"}},
        {"videos": {"a.mp4": {"file": "shards/a"}}},
        {"failed": []},
    ],
)
def test_a_manifest_that_no_run_has_written_is_damaged(store, change):
    content = unseal((store / "manifest.json").read_text())
    (store / "manifest.json").write_text(seal(json.dumps(content | change)))
    with pytest.raises(InputError, match="manifest.json: the manifest is damaged") as refused:
        FrameStore(store)
    assert "\n" not in str(refused.value)


def test_a_journal_that_no_run_has_written_is_damaged(store):
    (store / "journal.jsonl").write_text(seal('{"video": "a.mp4", "entry": {}}'))
    with pytest.raises(InputError, match="journal.jsonl: the journal is damaged"):
        StoreFolder(store).read_journal()
