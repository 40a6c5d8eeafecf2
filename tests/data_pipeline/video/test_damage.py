"""Files that are damaged, cut short or no videos: refused in one line, the good frames to be had on request."""

import pytest

from data_pipeline.video import open_video
from stvg_jax.errors import InputError
from tests import videos
from tests.data_pipeline.video.kinds import every_number
from tests.videos import numbers_in, write_video


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
@pytest.mark.parametrize("bad", [4, 10, 13, 29])
def test_damage_is_refused_and_the_good_frames_can_be_had(tmp_path, suffix, bad):
    codec = {"codec": "mpeg4", "b_frames": 0} if suffix == "avi" else {}
    path = videos.damage_frame(write_video(tmp_path / f"damaged.{suffix}", **codec), bad)
    message = f"frame {bad} .*cannot be decoded, {bad} frames before it are good.*--allow-partial"
    with pytest.raises(InputError, match=message) as refused:
        every_number(path)
    assert "\n" not in str(refused.value)
    assert every_number(path, allow_partial=True) == list(range(bad))


def test_damage_between_the_frames_that_are_read_is_noticed(tmp_path):
    path = videos.damage_frame(write_video(tmp_path / "a.mp4", count=60, gop=30), 13)
    with open_video(path) as reader:
        assert numbers_in(reader.read([0, 12])) == [0, 12]
        with pytest.raises(InputError, match="frame 13 of 60"):
            reader.read([5, 25, 45])
        assert numbers_in(reader.read([3, 45])) == [3, 45]


def test_a_video_without_one_good_frame_is_refused(tmp_path):
    path = videos.damage_frame(write_video(tmp_path / "a.mp4", count=8), 0)
    for allow_partial in (False, True):
        with pytest.raises(InputError, match="no frame of this video can be decoded"):
            open_video(path, allow_partial=allow_partial)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_file_cut_short_is_refused_and_its_good_frames_can_be_had(tmp_path, name):
    path = videos.truncate(write_video(tmp_path / name, container_options={"movflags": "faststart"}))
    with pytest.raises(InputError, match="cut short by .* bytes.*--allow-partial"):
        open_video(path)
    numbers = every_number(path, allow_partial=True)
    assert numbers == list(range(len(numbers)))
    assert 5 < len(numbers) < 29


def test_a_file_whose_index_was_cut_off_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot read|can read .*cut short"):
        open_video(videos.truncate(write_video(tmp_path / "a.mp4")))


def bad_files(folder):
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "notes.txt").write_text("a video would be nice\n" * 40)
    (folder / "notes.mp4").write_text("a video would be nice\n" * 40)
    (folder / "list.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\na.ts\n#EXT-X-ENDLIST\n")
    videos.write_audio(folder / "sound.wav")
    videos.write_audio(folder / "sound.m4a")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.mp4", "no such file"),
        (".", "not a file"),
        ("empty.mp4", "empty .0 bytes"),
        ("notes.txt", "not a video"),
        ("notes.mp4", "not a video"),
        ("list.m3u8", "not a video"),
        ("sound.wav", "no video track in this file, only audio"),
        ("sound.m4a", "no video track in this file, only audio"),
    ],
)
def test_files_without_video_are_refused_in_one_line(tmp_path, capfd, name, message):
    bad_files(tmp_path)
    with pytest.raises(InputError, match=message) as refused:
        open_video(tmp_path / name)
    assert str(tmp_path / name) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert capfd.readouterr().err == ""


def test_ffmpeg_stays_silent_about_damage(tmp_path, capfd):
    path = videos.damage_frame(write_video(tmp_path / "a.mp4"), 13)
    capfd.readouterr()
    with pytest.raises(InputError):
        every_number(path)
    assert capfd.readouterr().err == ""
