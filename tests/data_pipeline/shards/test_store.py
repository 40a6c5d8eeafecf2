"""Reading stored frames: the right ones, from any thread, and a clear answer where there is none."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.frames import model_size
from stvg_jax.data_pipeline.shards import FrameStore, Settings, check_store, jpeg, prepare_frames
from stvg_jax.data_pipeline.shards import store as store_module
from stvg_jax.data_pipeline.video import open_video
from tests.data_pipeline.shards.conftest import KINDS_STORED, SETTINGS
from tests.videos import numbers_in


def numbers(store, video, ids):
    return numbers_in([jpeg.decode(data) for data in store.read(video, ids)])


@pytest.mark.parametrize("video", [*KINDS_STORED, "deep/er/rotated.mp4"])
def test_every_frame_is_stored_under_its_number(whole_store, videos, video):
    """For variable rates, rotation, hidden frames, and where the container counts no frames."""
    store = FrameStore(whole_store)
    stored = store.videos[video]
    with open_video(videos / video) as reader:
        info = reader.info
    assert (stored.frame_count, stored.fps, stored.rotation) == (info.frame_count, info.fps, info.rotation)
    assert (stored.width, stored.height) == (info.width, info.height)
    assert stored.frame_ids is None
    every = range(info.frame_count)
    assert numbers(store, video, every) == list(every)
    picture = jpeg.decode(store.read(video, [0])[0])
    assert picture.shape[:2] == (stored.stored_height, stored.stored_width)
    assert picture.shape[:2] == SETTINGS.stored_size(info.height, info.width)


def test_frames_come_in_the_order_of_the_ids(whole_store):
    store = FrameStore(whole_store)
    assert numbers(store, "b-frames.mp4", [17, 3, 3, 29]) == [17, 3, 3, 29]
    assert numbers(store, "b-frames.mp4", np.array([5], np.int32)) == [5]
    assert store.read("b-frames.mp4", []) == []


def test_frames_reduced_by_another_size_rule_are_read_back(videos, tmp_path):
    settings = Settings(48, sizing="five_to_three")
    for kept in (["b-frames.mp4"], ["b-frames.mp4", "irregular.mkv"]):
        prepare_frames(dict.fromkeys(kept), videos, tmp_path, settings, processes=1, say=lambda line: None)
    store = FrameStore(tmp_path)
    assert store.settings == settings and list(store.videos) == kept
    assert check_store(tmp_path) == {}
    stored = store.videos["b-frames.mp4"]
    assert stored.reduced
    assert (stored.stored_height, stored.stored_width) == model_size(stored.height, stored.width, 48, "five_to_three")
    with pytest.raises(InputError, match="made with sizing five_to_three .now squeezed.; use the same settings"):
        prepare_frames({"b-frames.mp4": None}, videos, tmp_path, Settings(48), processes=1, say=lambda line: None)


def test_threads_may_share_a_store(whole_store, monkeypatch):
    monkeypatch.setattr(store_module, "_OPEN_FILES", 2)
    store = FrameStore(whole_store)
    names = [name for name in KINDS_STORED if name != "one-frame.mp4"]

    def work(seed):
        generator = np.random.default_rng(seed)
        name, ids = generator.choice(names), generator.integers(0, 30, 4).tolist()
        return numbers(store, name, ids) == ids

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))


def test_a_pickled_store_opens_itself_again(whole_store):
    store = pickle.loads(pickle.dumps(FrameStore(whole_store)))
    assert numbers(store, "irregular.mkv", [7]) == [7]


@pytest.mark.parametrize(
    ("video", "ids", "message"),
    [
        ("other.mp4", [0], "other.mp4 is not among the 6 stored videos, such as b-frames.mp4"),
        ("b-frames.mp4", [3, 30], "no frame 30 in b-frames.mp4; frames are numbered 0 to 29"),
        ("b-frames.mp4", [-1], "no frame -1"),
    ],
)
def test_what_is_not_stored_is_named(whole_store, video, ids, message):
    with pytest.raises(InputError, match=message):
        FrameStore(whole_store).read(video, ids)


def shard_of(store, video):
    return store / FrameStore(store).videos[video].file


def test_damaged_shards_are_never_read(store):
    shard = shard_of(store, "b-frames.mp4")
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(InputError, match="cut short or damaged.*--check"):
        FrameStore(store).read("b-frames.mp4", [0])
    place = whole.index(b"\xff\xd8\xff") + 700
    shard.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(InputError, match="a frame cannot be read.*--check"):
        FrameStore(store).read("b-frames.mp4", range(30))
    shard.unlink()
    with pytest.raises(InputError, match="No such file.*--check"):
        FrameStore(store).read("b-frames.mp4", [0])


def test_folders_without_a_finished_store_are_refused(store, tmp_path):
    with pytest.raises(InputError, match="no stored frames here"):
        FrameStore(tmp_path / "absent")
    manifest = store / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"frame_count": 30', '"frame_count": 31', 1))
    with pytest.raises(InputError, match="manifest is damaged"):
        FrameStore(store)
    manifest.unlink()
    with pytest.raises(InputError, match="not finished, 0 of 6 videos are there; run the same"):
        FrameStore(store)


def test_neither_tensorflow_nor_jax_is_loaded_to_read(whole_store):
    program = f"""if True:
        import sys
        from stvg_jax.data_pipeline.shards import FrameStore
        assert "array_record" not in sys.modules
        assert len(FrameStore({str(whole_store)!r}).read("b-frames.mp4", [3])) == 1
        print(*({{"tensorflow", "jax", "torch"}} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_missing_library_is_named_with_the_way_to_install_it(whole_store, monkeypatch):
    monkeypatch.setitem(sys.modules, "array_record.python.array_record_module", None)
    with pytest.raises(InputError, match=r"array_record .*pip install -e '\.\[data\]'"):
        FrameStore(whole_store).read("b-frames.mp4", [3])


def test_a_store_of_another_version_is_refused(store, monkeypatch):
    monkeypatch.setattr("stvg_jax.data_pipeline.shards.folder.FORMAT", "stvg_jax.frames/3")
    with pytest.raises(InputError, match="version 'stvg_jax.frames/2'; this version of the library reads"):
        FrameStore(store)
