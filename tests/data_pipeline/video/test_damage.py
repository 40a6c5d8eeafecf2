"""Files that are damaged, cut short or no videos: refused in one line, the good frames to be had on request."""

import struct

import numpy as np
import pytest
from PIL import Image

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.video import container, open_video
from tests import videos
from tests.data_pipeline.video.kinds import every_number
from tests.data_pipeline.video.making import copy, patch
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


def write_animation(path, count=12, size=(96, 64)):
    """A GIF or animated PNG, by its suffix, of numbered frames."""
    first, *others = (Image.fromarray(videos.numbered_picture(number, *size)) for number in range(count))
    first.save(path, save_all=True, append_images=others, duration=100)
    return path


def assert_refused(path, message):
    """That a file is refused with such a message, but for its good frames, and how many these are."""
    with pytest.raises(InputError, match=f"{message}.*--allow-partial") as refused:
        open_video(path)
    assert "\n" not in str(refused.value)
    numbers = every_number(path, allow_partial=True)
    assert numbers == list(range(len(numbers)))
    return len(numbers)


@pytest.mark.parametrize("name", ["a.gif", "a.apng"])
@pytest.mark.parametrize("kept", [0.4, 0.75, -1])
def test_an_animation_without_its_end_is_refused(tmp_path, name, kept):
    path = write_animation(tmp_path / name)
    assert every_number(path) == list(range(12))
    data = path.read_bytes()
    path.write_bytes(data[: kept if kept < 0 else int(kept * len(data))])
    assert 2 < assert_refused(path, "the file is cut short, it has no end mark") <= 12


@pytest.mark.parametrize("name", ["a.gif", "a.apng"])
def test_what_follows_the_end_of_an_animation_is_no_matter(tmp_path, name):
    path = write_animation(tmp_path / name)
    path.write_bytes(path.read_bytes() + b"\x21\xf9 left over")
    assert every_number(path) == list(range(12))


def test_a_picture_that_was_cut_through_is_not_among_the_good_frames(tmp_path):
    path = write_animation(tmp_path / "a.gif")
    with open_video(path) as reader:
        pictures = reader.read(range(12))
    data = path.read_bytes()
    for share in (0.3, 0.5, 0.77, 0.99):
        path.write_bytes(data[: int(len(data) * share)])
        with open_video(path, allow_partial=True) as reader:
            good = reader.info.frame_count
            np.testing.assert_array_equal(reader.read(range(good)), pictures[:good])
        assert assert_refused(path, "cut short, it has no end mark") == good
    # Without its end mark alone it has all of them.
    path.write_bytes(data[:-1])
    assert assert_refused(path, "cut short, it has no end mark") == 12


def test_a_gif_with_an_unknown_block_or_an_empty_one_too_many(tmp_path):
    data = write_animation(tmp_path / "a.gif").read_bytes()
    for block, name in ((b"\0", "empty.gif"), (b"\x77", "unknown.gif")):
        (tmp_path / name).write_bytes(data[:-1] + block + data[-1:])
    assert every_number(tmp_path / "empty.gif") == list(range(12))
    assert_refused(tmp_path / "unknown.gif", "bytes of no known kind from byte")


def test_an_animated_png_with_fewer_frames_than_it_claims_is_refused(tmp_path):
    path = write_animation(tmp_path / "a.apng")
    patch(path, b"acTL", 0, (15).to_bytes(4, "big"))
    assert assert_refused(path, "lacks 3 of the 15 frames of its header") == 12


@pytest.mark.parametrize(
    ("name", "field", "offset"),
    [("a.mp4", b"mdhd", 12), ("a.mov", b"mvhd", 12), ("a.mkv", b"\x2a\xd7\xb1\x83", 0)],
)
def test_a_time_scale_of_0_is_refused(tmp_path, name, field, offset):
    path = patch(write_video(tmp_path / name), field, offset, bytes(3 if name == "a.mkv" else 4))
    assert assert_refused(path, "its header gives a time scale of 0") > 0


@pytest.mark.parametrize("scale", [1 << 31, (1 << 32) - 1])
@pytest.mark.parametrize("field", [b"mdhd", b"mvhd"])
def test_a_time_scale_that_ffmpeg_takes_for_1_is_refused(tmp_path, field, scale):
    path = patch(write_video(tmp_path / "a.mp4"), field, 12, scale.to_bytes(4, "big"))
    assert_refused(path, f"its header gives a time scale of {scale}")


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("step", [0, 1, 512, 1000, 2048, (1 << 31) - 1, 1 << 31, (1 << 32) - 1])
def test_no_frame_is_lost_to_wrong_steps_between_frames(tmp_path, step, b_frames):
    """An edit list hides what they put outside of it; the right step of these 30 frames is 1024."""
    path = patch(write_video(tmp_path / "a.mp4", b_frames=b_frames), b"stts", 12, step.to_bytes(4, "big"))
    shown = (0, 1, 512, 1000, (1 << 32) - 1) if b_frames == 0 else (512, 1000)
    for allow_partial in (False, True):
        if step in shown:
            assert every_number(path, allow_partial=allow_partial) == list(range(30))
        else:
            message = (
                r"an edit list hides \d+ of 30 frames, and all of them last [\d,.]+ s (longer|shorter) than its header"
            )
            with pytest.raises(InputError, match=message):
                open_video(path, allow_partial=allow_partial)


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("scale", [1, 2])
def test_no_frame_is_lost_to_a_small_time_scale(tmp_path, scale, b_frames):
    path = patch(write_video(tmp_path / "a.mp4", b_frames=b_frames), b"mdhd", 12, scale.to_bytes(4, "big"))
    message = f"hides 29 of 30 frames, and those that are left last {1024 / scale:,.1f} s each"
    for allow_partial in (False, True):
        with pytest.raises(InputError, match=message):
            open_video(path, allow_partial=allow_partial)


def test_fewer_samples_than_the_header_of_an_mp4_claims_are_refused(tmp_path):
    path = write_video(tmp_path / "a.mp4", container_options={"movflags": "faststart"})
    data = path.read_bytes()
    media = data.index(b"mdat") - 4
    # The media claims to end where the file ends, so that nothing seems to be missing.
    kept = media + (len(data) - media) * 6 // 10
    path.write_bytes(data[:media] + (kept - media).to_bytes(4, "big") + data[media + 4 : kept])
    assert 5 < assert_refused(path, "the file holds .* frames fewer than its header says") < 29


@pytest.mark.parametrize(("field", "offset", "value", "missing"), [(b"stsz", 8, 47, 17), (b"stts", 8, 26, 4)])
def test_more_sizes_than_times_of_samples_are_refused(tmp_path, field, offset, value, missing):
    """30 frames, of which the header gives the size of 47, or the time of 26."""
    path = patch(write_video(tmp_path / "a.mp4"), field, offset, value.to_bytes(4, "big"))
    assert assert_refused(path, f"the file holds {missing} frames fewer than its header says") > 0


def test_fewer_frames_than_the_header_of_an_avi_claims_are_refused(tmp_path):
    path = write_video(tmp_path / "a.avi", codec="mpeg4", b_frames=0)
    patch(path, b"strh", 4 + 32, struct.pack("<I", 41))
    assert assert_refused(path, "the file holds 11 frames fewer than its header says") == 30


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_an_avi_cut_short_is_refused(tmp_path, codec):
    path = videos.truncate(write_video(tmp_path / "a.avi", codec=codec, b_frames=0), 0.9)
    assert 5 < assert_refused(path, "cut short by .* bytes") < 30


@pytest.mark.parametrize(
    ("name", "after", "value"),
    [("a.mkv", b"\x44\x89\x88", struct.pack(">d", 9000.0)), ("a.flv", b"duration\0", struct.pack(">d", 9.0))],
)
def test_a_file_that_ends_before_its_header_says_is_refused(tmp_path, name, after, value):
    path = patch(copy(write_video(tmp_path / "a.mp4"), tmp_path / name), after, 0, value)
    assert assert_refused(path, r"the file ends [56]\.\d s before the end in its header") == 30


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video", "mpeg4"])
def test_a_recording_cut_within_its_last_picture_is_refused(tmp_path, codec):
    """MPEG-TS tells no length, and decoders make up the rest of a picture, that of HEVC without a word."""
    options = {"x265-params": "log-level=0"} if codec == "libx265" else {}
    path = write_video(tmp_path / "a.ts", count=11, size=(192, 128), codec=codec, b_frames=0, options=options)
    with open_video(path) as reader:
        pictures = reader.read(range(11))
    data = path.read_bytes()
    # The first packet of the last picture; packets of 188 bytes with the flag of a beginning and the track's number.
    packets = range(0, len(data), 188)
    begin = max(place for place in packets if data[place + 1 : place + 3] == b"\x41\0")
    assert len(data) - begin > 2 * 188
    for end in (begin + 2 * 188, len(data) - 188):
        path.write_bytes(data[:end])
        for frame_ids in (range(11), [10]):
            with pytest.raises(InputError, match="frame 10 .*10 frames before it"), open_video(path) as reader:
                reader.read(frame_ids)
        with open_video(path, allow_partial=True) as reader:
            np.testing.assert_array_equal(reader.read(range(reader.info.frame_count)), pictures[:10])
    path.write_bytes(data[:begin])
    assert every_number(path) == list(range(10))


@pytest.mark.parametrize("pixels", [128 * 64, 128 * 64 - 1])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.h264", "a.avi", "a.gif", "a.apng"])
def test_pictures_of_more_pixels_than_the_bound_are_not_decoded(tmp_path, monkeypatch, name, pixels):
    monkeypatch.setattr(container, "MAX_PIXELS", pixels)
    path = (write_animation if name.endswith(("gif", "apng")) else write_video)(
        tmp_path / name, count=12, size=(128, 64)
    )
    if pixels == 128 * 64:
        assert every_number(path) == list(range(12))
        return
    for allow_partial in (False, True):
        with pytest.raises(InputError, match="at most 67,108,864 .8192 x 8192. are read"):
            open_video(path, allow_partial=allow_partial)


def test_a_picture_too_large_within_a_stream_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(container, "MAX_PIXELS", 100 * 100)
    parts = [write_video(tmp_path / f"{size[0]}.h264", count=8, size=size) for size in ((96, 64), (192, 128))]
    path = tmp_path / "sizes.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert assert_refused(path, "frame 8 cannot be decoded") == 8


def test_a_small_file_of_immense_pictures_is_refused(tmp_path):
    path, size = tmp_path / "a.gif", struct.pack("<2H", 65000, 2000)
    picture = b"\x2c" + bytes(4) + size + b"\0\x02\x02\x44\x01\0"
    path.write_bytes(b"GIF89a" + size + b"\x80\0\0" + bytes(6) + 2 * picture + b"\x3b")
    with pytest.raises(InputError, match="at most 67,108,864 .8192 x 8192. are read"):
        open_video(path)


def test_headers_of_hostile_files_take_no_time(tmp_path):
    boxes = tmp_path / "boxes.mp4"
    boxes.write_bytes((8).to_bytes(4, "big") + b"ftyp" + ((8).to_bytes(4, "big") + b"free") * 300_000)
    elements = tmp_path / "elements.mkv"
    elements.write_bytes(b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x08\0\0\0\0" + b"\xec\x80" * 300_000)
    lengths = tmp_path / "lengths.mp4"
    inner = struct.pack(">I4sQ", 1, b"trak", (1 << 64) - 32) + bytes(8)
    lengths.write_bytes(struct.pack(">I4s", 8, b"ftyp") + struct.pack(">I4sQ", 1, b"moov", (1 << 64) - 8) + inner)
    for path in (boxes, elements, lengths):
        with pytest.raises(InputError):
            open_video(path)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi", "gif", "apng"])
def test_random_damage_never_gives_another_error(tmp_path, suffix):
    animated = suffix in ("gif", "apng")
    codec = {"codec": "mpeg4", "b_frames": 0} if suffix == "avi" else {}
    path = tmp_path / f"a.{suffix}"
    data = (write_animation(path) if animated else write_video(path, count=12, **codec)).read_bytes()
    random = np.random.default_rng(len(data))
    for _ in range(12):
        damaged = bytearray(data)
        for place in random.integers(0, len(data), random.integers(1, 9)):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            with open_video(path, allow_partial=True) as reader:
                frames = reader.read(range(reader.info.frame_count))
            assert len(frames) == reader.info.frame_count > 0 < reader.info.fps
        except InputError as error:
            assert "\n" not in str(error)


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
