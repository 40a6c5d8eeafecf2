"""Frame numbers, times and order, on videos whose frames show their own number."""

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.video import open_video
from stvg_jax.data_pipeline.video.table import Table
from tests import videos
from tests.data_pipeline.video.kinds import IRREGULAR_MS, KINDS, OPEN_GOPS, every_number
from tests.videos import number_in, numbers_in, write_video


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_is_counted_and_shown_in_order(kinds, name):
    with open_video(kinds[name]) as reader:
        count = KINDS[name].get("count", 30)
        assert reader.info.frame_count == count
        assert (reader.info.width, reader.info.height, reader.info.rotation) == (videos.WIDTH, videos.HEIGHT, 0)
        assert [(i, number_in(picture)) for i, picture in reader.iter_frames()] == [(i, i) for i in range(count)]


@pytest.mark.parametrize("name", [name for name in KINDS if name != "one-frame.mp4"])
def test_jumping_about_gives_the_same_frames_as_reading_on(kinds, name):
    with open_video(kinds[name]) as reader:
        whole = reader.read(range(30))
        for ids in ([29], [0, 28], [19, 20, 21], [25, 3, 25, 11], [9, 10, 29], [8], np.arange(0, 30, 7)):
            np.testing.assert_array_equal(reader.read(ids), whole[ids])


def test_reading_spreads_over_keyframes_without_decoding_everything(tmp_path, monkeypatch):
    path = write_video(tmp_path / "long.mp4", count=250)
    decoded = []
    find = Table.find
    monkeypatch.setattr(Table, "find", lambda table, pts: decoded.append(pts) or find(table, pts))
    with open_video(path) as reader:
        decoded.clear()
        assert numbers_in(reader.read([5, 100, 200, 205])) == [5, 100, 200, 205]
    assert len(decoded) < 40
    assert len(set(decoded)) == len(decoded)


def test_times_of_a_regular_video(kinds):
    with open_video(kinds["b-frames.mp4"]) as reader:
        assert (reader.info.fps, reader.info.duration_sec) == (10.0, 3.0)
        np.testing.assert_allclose(reader.info.timestamps_sec, np.arange(30) / 10, atol=1e-9)


@pytest.mark.parametrize("name", ["irregular.mp4", "irregular.mkv"])
def test_times_of_an_irregular_video(kinds, name):
    with open_video(kinds[name]) as reader:
        np.testing.assert_allclose(reader.info.timestamps_sec, np.array(IRREGULAR_MS) / 1000, atol=1e-6)
        assert reader.info.duration_sec > IRREGULAR_MS[-1] / 1000
        assert reader.info.fps == pytest.approx(30 / reader.info.duration_sec)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied(tmp_path, degrees):
    with open_video(videos.write_rotated(tmp_path / "turned.mp4", degrees)) as reader:
        assert (reader.info.width, reader.info.height) == (videos.WIDTH, videos.HEIGHT)
        assert reader.info.rotation == degrees
        pictures = reader.read([11, 0, 5])
        assert numbers_in(pictures) == [11, 0, 5]
        assert np.all(pictures[:, -8:, -8:, 0].mean((1, 2)) > pictures[:, -8:, :8, 0].mean((1, 2)) + 100)


@pytest.mark.parametrize("options", [{}, OPEN_GOPS], ids=["closed", "open"])
def test_frames_cut_off_by_an_edit_list_are_not_shown(tmp_path, options):
    source = write_video(tmp_path / "source.mp4", options=options)
    path = videos.cut_without_encoding(source, tmp_path / "cut.mp4", first=14)
    assert every_number(path) == list(range(14, 30))
    with open_video(path) as reader:
        assert numbers_in(reader.read([15, 0, 7])) == [29, 14, 21]
        np.testing.assert_allclose(reader.info.timestamps_sec, np.arange(16) / 10, atol=1e-9)


def test_a_cut_in_matroska_shows_frames_from_the_keyframe_on(tmp_path):
    source = write_video(tmp_path / "source.mkv")
    assert every_number(videos.cut_without_encoding(source, tmp_path / "cut.mkv", first=14)) == list(range(10, 30))


def test_a_cover_picture_is_not_the_video(tmp_path):
    path = videos.add_cover(write_video(tmp_path / "a.mp4"), tmp_path / "cover.mp4")
    assert every_number(path) == list(range(30))


# The MP4 writer marks the first track as the default one; a transport stream has no such mark.
@pytest.mark.parametrize(("name", "first"), [("two.mp4", 100), ("two.ts", 0)], ids=["default", "largest"])
def test_of_two_tracks_the_default_or_the_largest_is_shown(tmp_path, name, first):
    assert every_number(videos.write_two_tracks(tmp_path / name)) == list(range(first, first + 5))


def test_reading_nothing_gives_an_empty_array(kinds):
    with open_video(kinds["b-frames.mp4"]) as reader:
        assert reader.read([]).shape == (0, videos.HEIGHT, videos.WIDTH, 3)
        assert list(reader.iter_frames(5, 5)) == []


def test_progress_counts_distinct_frames(kinds):
    steps = []
    with open_video(kinds["b-frames.mp4"]) as reader:
        reader.read([4, 9, 4], progress=steps.append)
    assert steps == [1, 1]


@pytest.mark.parametrize(
    ("ids", "message"), [([0, 30], "no frame 30; frames are numbered 0 to 29"), ([-1], "no frame -1"), ([0.5], "whole")]
)
def test_frames_that_are_not_there_are_named(kinds, ids, message):
    with open_video(kinds["b-frames.mp4"]) as reader, pytest.raises(InputError, match=message):
        reader.read(ids)
