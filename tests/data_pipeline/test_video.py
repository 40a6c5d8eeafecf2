"""Frame numbers, times and errors of the decoding interface, on videos whose frames show their own number."""

import importlib.util
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

import data_pipeline.video
from data_pipeline.video import open_video
from stvg_jax.errors import InputError
from tests import videos
from tests.videos import number_in, numbers_in, write_video

needs_decord = pytest.mark.skipif(importlib.util.find_spec("decord") is None, reason="decord is not installed")
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg program is not installed")
OPEN_GOPS = {"x264-params": "open-gop=1"}
IRREGULAR_MS = np.cumsum([0, *np.random.default_rng(0).integers(10, 300, 29)]).tolist()


def every_number(path, **options):
    with open_video(path, **options) as reader:
        return numbers_in(reader.read(range(reader.info.frame_count)))


KINDS = {
    "b-frames.mp4": {},
    "b-frames.mkv": {},
    "b-frames.ts": {},
    "no-times.avi": {},
    "no-container.h264": {},
    "open-gops.mp4": {"options": OPEN_GOPS},
    "mpeg4.avi": {"codec": "mpeg4"},
    "mpeg2.mpg": {"codec": "mpeg2video", "fps": 25},
    "hidden-frames.webm": {"codec": "libvpx", "b_frames": 0, "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
    "irregular.mp4": {"times_ms": IRREGULAR_MS},
    "irregular.mkv": {"times_ms": IRREGULAR_MS},
    "one-frame.mp4": {"count": 1},
    "one-keyframe.mp4": {"gop": 300},
    "all-keyframes.mp4": {"gop": 1, "b_frames": 0},
}


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    return {name: write_video(folder / name, **options) for name, options in KINDS.items()}


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
    find = data_pipeline.video._Table.find
    monkeypatch.setattr(data_pipeline.video._Table, "find", lambda table, pts: decoded.append(pts) or find(table, pts))
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


@needs_ffmpeg
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_shows_what_the_ffmpeg_program_shows(tmp_path, suffix):
    source, path = write_video(tmp_path / f"source.{suffix}"), tmp_path / f"cut.{suffix}"
    quiet = ["ffmpeg", "-v", "error", "-y"]
    subprocess.run([*quiet, "-ss", "1.37", "-i", source, "-t", "1", "-c", "copy", path], check=True)
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-fps_mode", "passthrough", "-"]
    shown = subprocess.run([*quiet, "-i", path, *raw], check=True, capture_output=True).stdout
    shown = np.frombuffer(shown, np.uint8).reshape(-1, videos.HEIGHT, videos.WIDTH, 3)
    assert every_number(path) == numbers_in(shown)


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


def test_an_unknown_decoder_is_named_with_the_choices(kinds):
    with pytest.raises(InputError, match="'opencv'; choose one of pyav, decord"):
        open_video(kinds["b-frames.mp4"], decoder="opencv")


def test_absent_decord_is_named_with_its_remedy(kinds, monkeypatch):
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(InputError, match=r"pip install stvg-jax\[decord\]"):
        open_video(kinds["b-frames.mp4"], decoder="decord")


@needs_decord
@pytest.mark.parametrize("name", ["b-frames.mp4", "b-frames.mkv", "irregular.mp4"])
def test_decord_gives_the_same_frames(kinds, name):
    with open_video(kinds[name]) as exact, open_video(kinds[name], decoder="decord") as reader:
        assert reader.info == exact.info
        ids = [20, 3, 29, 3]
        difference = np.abs(reader.read(ids).astype(int) - exact.read(ids))
        assert difference.max() <= 4


@needs_decord
def test_decord_is_refused_where_it_would_be_wrong(tmp_path, kinds):
    cut = videos.cut_without_encoding(kinds["b-frames.mp4"], tmp_path / "cut.mp4", first=14)
    turned = videos.write_rotated(tmp_path / "turned.mp4", 90)
    for path, reason in [(cut, "edit list"), (turned, "rotated by 90"), (kinds["open-gops.mp4"], "open groups")]:
        with pytest.raises(InputError, match=f"{reason}.*use decoder 'pyav'"):
            open_video(path, decoder="decord")


@pytest.mark.parametrize(("fault", "message"), [("count", "decord counts 29 frames"), ("picture", "for frame 14")])
def test_decord_is_refused_when_it_disagrees(kinds, monkeypatch, fault, message):
    with open_video(kinds["b-frames.mp4"]) as exact:
        frames = exact.read(range(30))
    frames = frames[:29] if fault == "count" else np.concatenate([frames[:14], frames[13:14], frames[15:]])

    class Reader:
        def __init__(self, path, ctx):
            self.frames = frames

        def __len__(self):
            return len(frames)

        def get_batch(self, ids):
            return types.SimpleNamespace(asnumpy=lambda: frames[ids])

    logging = types.SimpleNamespace(set_level=lambda level: None, QUIET=0)
    fake = types.SimpleNamespace(VideoReader=Reader, cpu=lambda index: None, logging=logging)
    monkeypatch.setitem(sys.modules, "decord", fake)
    with pytest.raises(InputError, match=f"{message}.*use decoder 'pyav'"):
        open_video(kinds["b-frames.mp4"], decoder="decord")
