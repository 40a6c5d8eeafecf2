import shutil

import pytest

from stvg_jax.data_pipeline.shards import Settings, prepare_frames
from tests.data_pipeline.video.kinds import KINDS
from tests.videos import write_rotated, write_video

# Small enough that frames are made smaller, and their numbers can still be read.
SETTINGS = Settings(height=48)
KINDS_STORED = ("b-frames.mp4", "irregular.mkv", "no-times.avi", "hidden-frames.webm", "one-frame.mp4")


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    """A folder of videos of several kinds; one is in a folder of its own."""
    folder = tmp_path_factory.mktemp("videos")
    for name in KINDS_STORED:
        write_video(folder / name, **KINDS[name])
    (folder / "deep" / "er").mkdir(parents=True)
    write_rotated(folder / "deep" / "er" / "rotated.mp4", 90)
    return folder


@pytest.fixture(scope="session")
def whole_store(videos, tmp_path_factory):
    """All frames of `videos`; not to be changed."""
    folder = tmp_path_factory.mktemp("stores") / "whole"
    names = sorted(path.relative_to(videos).as_posix() for path in videos.rglob("*.*"))
    prepare_frames(dict.fromkeys(names), videos, folder, SETTINGS, processes=2)
    return folder


@pytest.fixture
def store(whole_store, tmp_path):
    """A copy of `whole_store`."""
    return shutil.copytree(whole_store, tmp_path / "store")
