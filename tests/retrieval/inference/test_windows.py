"""Windows cover a video, and their frames are decoded once and shown as a clip of their own would be."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.video import open_video
from stvg_jax.data_pipeline.video.reader import VideoInfo, VideoReader
from stvg_jax.retrieval.clip import RetrievalClip
from stvg_jax.retrieval.inference.windows import WindowConfig, make_windows, read_windows
from tests.videos import number_in, write_video


def info(times, duration):
    times = np.asarray(times, np.float64)
    return VideoInfo(Path("a.mp4"), 8, 8, 2.0, len(times), duration, 0, False, times)


@pytest.mark.parametrize(
    ("duration", "bounds"),
    [
        (3.0, [(0, 3)]),
        (4.0, [(0, 4)]),
        (5.0, [(0, 4), (1, 5)]),
        (8.0, [(0, 4), (2, 6), (4, 8)]),
        (8.5, [(0, 4), (2, 6), (4, 8), (4.5, 8.5)]),
    ],
)
def test_windows_cover_the_video_and_are_whole(duration, bounds):
    windows = make_windows(info(np.arange(0, duration, 0.5), duration), WindowConfig(4.0, 2.0))
    assert [(w.start_sec, w.end_sec) for w in windows] == bounds
    assert [(w.start, w.end) for w in windows] == [(2 * a, 2 * b) for a, b in bounds]


def test_a_window_without_a_frame_is_left_out():
    windows = make_windows(info([0, 1, 2, 20, 21], 22.0), WindowConfig(4.0, 4.0))
    assert [(w.start, w.end) for w in windows] == [(0, 3), (3, 5)]


@pytest.mark.parametrize(("length", "stride"), [(0, 0), (-1, 1), (4, 5), (4, 0), (float("nan"), 1), (float("inf"), 1)])
def test_wrong_windows_are_refused(length, stride):
    with pytest.raises(InputError, match="must be positive"):
        WindowConfig(length, stride)


def test_too_many_windows_are_refused():
    with pytest.raises(InputError, match="more than 1,000,000 windows that lie 1e-05 s apart; choose a larger stride"):
        make_windows(info(np.arange(22), 22.0), WindowConfig(1.0, 1e-5))


@dataclasses.dataclass
class Counting(VideoReader):
    """Counts the frames that are decoded, and holds none."""

    inner: VideoReader
    decoded: list[int] = dataclasses.field(default_factory=list)

    def iter_selected(self, frame_ids):
        for number, picture in self.inner.iter_selected(frame_ids):
            self.decoded.append(number)
            yield number, picture


def test_each_frame_is_decoded_once(tmp_path):
    path = write_video(tmp_path / "a.mp4", 33, (128, 128))
    shown = RetrievalClip(frames=5, resolution=96).shown
    with open_video(path) as inner:
        windows = make_windows(inner.info, WindowConfig(1.2, 0.4))
        reader = Counting(inner)
        clips = list(read_windows(reader, windows, shown))
    assert len(clips) == len(windows) == 7
    assert reader.decoded == sorted(set(reader.decoded))
    for window, clip in zip(windows, clips, strict=True):
        assert clip.shape == (5, 96, 96, 3)
        assert [number_in(picture) for picture in clip] == [
            window.start + n * (window.end - window.start) // 5 for n in range(5)
        ]
