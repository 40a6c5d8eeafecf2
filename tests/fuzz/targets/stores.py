"""Stores of frames: manifest, journal, settings, shards, and the JPEG files in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.fuzz import mutations
from tests.fuzz.engine import Target
from tests.fuzz.worker import Place, check_text

_TOKENS = (
    b"stvg_jax.frames/1",
    b'"file"',
    b'"frames"',
    b"0-5,9",
    b"shards/",
    b"../home/precious.txt",
    b"sha256",
    b"-1",
    b"null",
)


def _store(folder: Path) -> Path:
    """A store of two short videos."""
    from stvg_jax.data_pipeline.shards import Settings, prepare_frames
    from tests.videos import write_video

    videos = folder / "videos"
    videos.mkdir()
    for name in ("a.mp4", "b.mp4"):
        write_video(videos / name, 4, (32, 32), codec="mpeg4")
    prepare_frames({"a.mp4": None, "b.mp4": np.array([0, 2])}, videos, folder / "store", Settings(0), processes=1)
    return folder / "store"


def _manifests(folder: Path) -> list[bytes]:
    return [(_store(folder) / "manifest.json").read_bytes()]


def _read_manifest(data: bytes, place: Place) -> object:
    return _read(place.replaced(place.seeds / "store", "manifest.json", data))


def _settings(folder: Path) -> list[bytes]:
    return [(_store(folder) / "settings.json").read_bytes()]


def _read_settings(data: bytes, place: Place) -> object:
    from stvg_jax.data_pipeline.shards import Settings
    from stvg_jax.data_pipeline.shards.folder import StoreFolder

    folder = place.replaced(place.seeds / "store", "settings.json", data)
    (folder / "manifest.json").unlink()
    StoreFolder(folder).check_settings(Settings(0))
    return StoreFolder(folder).asked_for()


def _journals(folder: Path) -> list[bytes]:
    import dataclasses
    import json

    from stvg_jax.core.files import seal
    from stvg_jax.data_pipeline.shards import FrameStore

    entries = FrameStore(_store(folder)).videos.items()
    lines = [seal(json.dumps({"video": name, "entry": dataclasses.asdict(entry)})) for name, entry in entries]
    return ["".join(f"\n{line}" for line in lines).encode()]


def _read_journal(data: bytes, place: Place) -> object:
    """As the start of a run does, which continues an interrupted one."""
    from stvg_jax.core.errors import InputError
    from stvg_jax.data_pipeline.shards.folder import StoreFolder

    folder = place.replaced(place.seeds / "store", "journal.jsonl", data)
    (folder / "manifest.json").unlink()
    store = StoreFolder(folder)
    entries = store.read_journal()
    intact = [store.intact(entry) and entry.holds(np.array([0])) for entry in entries.values()]
    store.sweep()
    try:
        _read(folder)
    except InputError as error:  # an unfinished store
        check_text(str(error))
    return intact


def _shards(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((_store(folder) / "shards").glob("a.mp4*"))]


def _read_shard(data: bytes, place: Place) -> object:
    name = next((place.seeds / "store" / "shards").glob("a.mp4*")).relative_to(place.seeds / "store")
    return _read(place.replaced(place.seeds / "store", str(name), data))


def _read(folder: Path) -> object:
    from stvg_jax.core.errors import InputError
    from stvg_jax.data_pipeline.shards import FrameStore, check_store, jpeg

    sizes = []
    store = FrameStore(folder)
    for name, video in store.videos.items():
        try:
            ids = range(2) if video.frame_ids is None else video.frame_ids[:2]
            sizes += [jpeg.decode(data).shape for data in store.read(name, list(ids))]
        except InputError:
            sizes.append(None)
    return sizes, sorted(check_store(folder))


def _pictures(folder: Path) -> list[bytes]:
    from stvg_jax.data_pipeline.shards import jpeg
    from tests.videos import numbered_picture

    picture = numbered_picture(3, 32, 24)
    return [jpeg.encode(picture), jpeg.encode(picture, 30, "4:2:0")]


def _read_picture(data: bytes, place: Place) -> object:
    from stvg_jax.data_pipeline.shards import jpeg

    return jpeg.size_of(data), jpeg.decode(data).shape


_MARKERS = tuple(
    bytes([0xFF, marker]) for marker in (0xD8, 0xD9, 0xC0, 0xC2, 0xC4, 0xDA, 0xDB, 0xDD, 0xE0, 0xE1, 0xEE, 0xFE)
)
TARGETS = (
    Target("store-manifest", _manifests, _read_manifest, (mutations.damage_sealed,), _TOKENS),
    Target("store-settings", _settings, _read_settings, (mutations.damage_json, mutations.damage_bytes), _TOKENS),
    Target("store-journal", _journals, _read_journal, (mutations.damage_sealed,), _TOKENS),
    Target("store-shard", _shards, _read_shard, (mutations.damage_bytes,), _TOKENS),
    Target("jpeg", _pictures, _read_picture, (mutations.damage_bytes,), _MARKERS),
)
