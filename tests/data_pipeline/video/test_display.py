"""Turned, mirrored, cropped and resized pictures, and their colours."""

import itertools
import shutil

import av
import numpy as np
import pytest
from PIL import Image

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.video import open_video
from tests.data_pipeline.video.making import (
    ONE,
    add_clean_aperture,
    add_pixel_crop,
    copy,
    patch,
    set_matrix,
    turned,
)
from tests.videos import HEIGHT, WIDTH, write_video

STRAIGHT = [(a, 0, 0, d) for a, d in itertools.product((ONE, -ONE), repeat=2)]
CROSSED = [(0, b, c, 0) for b, c in itertools.product((ONE, -ONE), repeat=2)]


def frames_of(path, ids=(0, 3, 7), **options):
    with open_video(path, **options) as reader:
        frames = reader.read(ids)
        assert frames.shape[1:3] == (reader.info.height, reader.info.width)
        return frames, reader.info


@pytest.fixture(scope="module")
def upright(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("upright") / "a.mp4", count=8)


@pytest.mark.parametrize("matrix", STRAIGHT + CROSSED)
def test_quarter_turns_and_mirror_images_are_shown(upright, tmp_path, matrix):
    expected = turned(frames_of(upright)[0], matrix)
    mp4 = set_matrix(shutil.copy(upright, tmp_path / "a.mp4"), *matrix)
    mkv = copy(upright, tmp_path / "a.mkv", matrix=matrix)
    for path in (mp4, mkv):
        frames, info = frames_of(path)
        np.testing.assert_array_equal(frames, expected)
        described = np.rot90(frames_of(upright)[0], info.rotation // 90, (1, 2))
        np.testing.assert_array_equal(frames, described[:, :, ::-1] if info.mirrored else described)


@pytest.mark.parametrize(
    ("matrix", "like"),
    [
        ((2 * ONE, 0, 0, -ONE), (ONE, 0, 0, -ONE)),
        ((ONE, 500, -500, ONE), (ONE, 0, 0, ONE)),
        ((0, 0, 0, 0), (ONE, 0, 0, ONE)),
    ],
    ids=["stretched", "rounded", "empty"],
)
def test_sizes_and_rounding_in_a_display_matrix_change_nothing(upright, tmp_path, matrix, like):
    expected = turned(frames_of(upright)[0], like)
    frames, _ = frames_of(set_matrix(shutil.copy(upright, tmp_path / "a.mp4"), *matrix))
    np.testing.assert_array_equal(frames, expected)


HALF = round(ONE * 0.5**0.5)


@pytest.mark.parametrize(
    "matrix",
    [
        (HALF, HALF, -HALF, HALF),
        (HALF, HALF, HALF, -HALF),
        (ONE, 0, ONE // 2, ONE),
        (ONE, ONE // 2, 0, ONE),
        (0, ONE, 0, 0),
        (ONE, 1000, -1000, ONE),
        (ONE, 0, 0, ONE, 1 << 20, 0),
    ],
)
def test_other_display_matrices_are_refused(upright, tmp_path, matrix):
    path = set_matrix(shutil.copy(upright, tmp_path / "a.mp4"), *matrix)
    with pytest.raises(InputError, match="display matrix .*only quarter turns and mirror images.*re-encode"):
        open_video(path)


TURN = "h264_metadata=display_orientation=insert:rotate=90"


@pytest.mark.parametrize("suffix", ["mp4", "h264"])
def test_a_turn_that_stands_at_keyframes_holds_for_the_others(tmp_path, suffix):
    """As the ffmpeg program shows it."""
    upright = write_video(tmp_path / f"a.{suffix}")
    path = copy(upright, tmp_path / f"turned.{suffix}", bitstream_filter=TURN)
    expected = turned(frames_of(upright, range(30))[0], (0, -ONE, ONE, 0))
    np.testing.assert_array_equal(frames_of(path, range(30))[0], expected)
    with open_video(path) as reader:
        assert reader.info.rotation == 90
        for frame_id in (25, 3, 14, 29, 0):
            np.testing.assert_array_equal(reader.read([frame_id])[0], expected[frame_id])


def test_another_turn_within_a_stream_is_refused(tmp_path):
    plain = write_video(tmp_path / "plain.h264", count=12)
    quarter = copy(plain, tmp_path / "turned.h264", bitstream_filter=TURN)
    path = tmp_path / "a.h264"
    path.write_bytes(plain.read_bytes() + quarter.read_bytes())
    for frame_ids in ([12], [20], range(24)):
        with open_video(path) as reader, pytest.raises(InputError, match="pictures change their orientation"):
            reader.read(frame_ids)
    # Only another turn ends one, as in the ffmpeg program.
    path.write_bytes(quarter.read_bytes() + plain.read_bytes())
    expected = turned(frames_of(plain, range(12))[0], (0, -ONE, ONE, 0))
    np.testing.assert_array_equal(frames_of(path, range(24))[0], np.concatenate([expected, expected]))


def test_side_data_that_pyav_has_no_name_for_does_no_harm(tmp_path):
    # ffmpeg hands on the EXIF block of a JPEG picture, and as a display matrix the orientation that stands in it.
    photo = tmp_path / "photo.jpg"
    source = write_video(tmp_path / "a.avi", count=2, codec="mjpeg", b_frames=0, options={"strict": "unofficial"})
    with av.open(str(source)) as container:
        picture = Image.fromarray(next(container.decode(video=0)).to_ndarray(format="rgb24"))
    for orientation, rotation, mirrored in ((1, 0, False), (2, 0, True), (3, 180, False), (5, 270, True)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture.save(photo, exif=exif)
        path = tmp_path / f"{orientation}.mkv"
        with av.open(str(source)) as old, av.open(str(path), "w") as new:
            stream = new.add_stream_from_template(old.streams.video[0])
            packet = av.Packet(photo.read_bytes())
            packet.pts = packet.dts = 0
            packet.time_base, packet.stream, packet.is_keyframe = stream.time_base, stream, True
            new.mux(packet)
        info = frames_of(path, [0])[1]
        assert (info.rotation, info.mirrored) == (rotation, mirrored)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("sides", [(6, 2, 4, 10), (16, 8, 4, 6), (2, 0, 0, 0), (0, 22, 14, 0)])
def test_cropping_in_the_stream_is_applied_on_every_side(tmp_path, codec, sides):
    options = {"x265-params": "log-level=0"} if codec == "libx265" else {}
    whole = write_video(tmp_path / "a.mp4", count=8, codec=codec, options=options)
    left, right, top, bottom = sides
    edit = "h264" if codec == "libx264" else "hevc"
    crop = f"{edit}_metadata=crop_left={left}:crop_right={right}:crop_top={top}:crop_bottom={bottom}"
    frames, _ = frames_of(copy(whole, tmp_path / "cropped.mp4", bitstream_filter=crop))
    expected = frames_of(whole)[0][:, top : HEIGHT - bottom, left : WIDTH - right]
    np.testing.assert_array_equal(frames, expected)


@pytest.mark.parametrize(
    ("numbers", "sides"),
    [
        ((72, 1, 50, 1, 4, 1, -4, 1), (16, 8, 3, 11)),
        ((144, 2, 51, 1, 0, 1, -3, 2), (12, 12, 5, 8)),
        # Larger than the picture, or without a denominator: no clean aperture at all, as in the ffmpeg program.
        ((200, 1, 50, 1, 0, 1, 0, 1), (0, 0, 0, 0)),
        ((72, 0, 50, 1, 0, 1, 0, 1), (0, 0, 0, 0)),
    ],
)
def test_the_clean_aperture_of_an_mp4_is_shown(tmp_path, numbers, sides):
    whole = write_video(tmp_path / "a.mp4", count=8)
    path = add_clean_aperture(shutil.copy(whole, tmp_path / "clean.mp4"), *numbers)
    assert_cropped(frames_of(path)[0], frames_of(whole)[0], *sides)


def test_cropping_in_matroska_is_applied_before_turning(tmp_path):
    whole = write_video(tmp_path / "a.mp4", count=8)
    path = add_pixel_crop(copy(whole, tmp_path / "cropped.mkv"), 7, 3, 5, 2)
    assert_cropped(frames_of(path)[0], frames_of(whole)[0], 7, 3, 5, 2)
    matrix = (0, ONE, ONE, 0)
    path = add_pixel_crop(copy(whole, tmp_path / "turned.mkv", matrix=matrix), 8, 4, 6, 2)
    expected = turned(frames_of(whole)[0][:, 6 : HEIGHT - 2, 8 : WIDTH - 4], matrix)
    np.testing.assert_array_equal(frames_of(path)[0], expected)


def assert_cropped(frames, whole, left, right, top, bottom):
    """Containers may cut through a sample of colour, of two by two pixels; the picture then keeps to whole ones."""
    width, height = (WIDTH - left - right) // 2 * 2, (HEIGHT - top - bottom) // 2 * 2
    left, top = left // 2 * 2, top // 2 * 2
    np.testing.assert_array_equal(frames, whole[:, top : top + height, left : left + width])


def test_cropping_that_leaves_nothing_is_refused(tmp_path):
    path = add_pixel_crop(copy(write_video(tmp_path / "a.mp4", count=8), tmp_path / "a.mkv"), 50, 50, 0, 0)
    with pytest.raises(InputError, match="cropping leaves nothing|not a video file that ffmpeg can read"):
        open_video(path)


def test_frames_take_the_size_of_the_first_where_it_changes(tmp_path):
    parts = [write_video(tmp_path / f"{size[0]}.h264", count=8, size=size) for size in ((96, 64), (48, 32), (192, 128))]
    path = tmp_path / "sizes.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, info = frames_of(path, range(24))
    assert (info.width, info.height, info.frame_count) == (96, 64, 24)
    for start in (8, 16):
        assert np.abs(frames[start : start + 8].astype(int) - frames[:8]).mean() < 16


def write_planes(path, frames, codec, pix_fmt, **flags):
    """A video of frames given as the arrays that PyAV makes of a pixel format."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options=flags)
        height, width = frames[0].shape if pix_fmt == "gray" else (frames[0].shape[0] * 2 // 3, frames[0].shape[1])
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        for number, planes in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(planes, format=pix_fmt)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("flags", [{}, {"flags": "+ildct+ilme"}], ids=["progressive", "interlaced"])
def test_interlaced_pictures_have_the_colours_of_progressive_ones(tmp_path, flags):
    planes = np.random.default_rng(0).integers(60, 200, (96, 96)).astype(np.uint8)
    path = write_planes(tmp_path / "a.mkv", [planes], "mpeg2video", "yuv420p", qscale="1", **flags)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert frame.interlaced_frame == bool(flags)
        decoded = frame.to_ndarray().astype(float)
    luma = 1.164 * (decoded[:64] - 16)
    blue, red = (np.repeat(np.repeat(p.reshape(32, 48), 2, 0), 2, 1) - 128 for p in np.split(decoded[64:], 2))
    rgb = np.stack([luma + 1.596 * red, luma - 0.392 * blue - 0.813 * red, luma + 2.017 * blue], -1)
    assert np.abs(frames_of(path, [0])[0][0] - np.clip(rgb, 0, 255)).max() < 4


def test_colours_between_the_samples_of_10_bit_video_are_those_of_ffmpeg(tmp_path):
    planes = np.random.default_rng(0).integers(300, 700, (12, 16)).astype(np.uint16)
    path = write_planes(tmp_path / "a.mkv", [planes], "ffv1", "yuv420p10le")
    # By the ffmpeg program, version 9.0: `-fps_mode passthrough -pix_fmt rgb24`.
    expected = [[28, 148, 17], [70, 190, 59], [126, 176, 125], [82, 132, 81], [76, 141, 134], [139, 204, 197]]
    assert frames_of(path, [0])[0][0, 3, :6].tolist() == expected


def test_pictures_of_unusual_size_or_text_in_the_file_do_no_harm(tmp_path):
    path = write_video(tmp_path / "a.mp4", count=8, size=(2, 2), codec="mpeg4", b_frames=0)
    assert frames_of(path)[0].shape == (3, 2, 2, 3)
    path = copy(write_video(tmp_path / "b.mp4", count=8), tmp_path / "b.mkv")
    patch(path, b"Lavf", -4, b"\xff\xfe\xff\xfe")
    assert frames_of(path)[1].frame_count == 8
