"""Frames of arrays and of folders of pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.video.listing import is_picture_folder
from stvg_jax.data_pipeline.video.pictures import ArrayReader, PicturesReader, check_fps
from tests.videos import numbered_picture, numbers_in


def save(path, number, **size):
    Image.fromarray(numbered_picture(number, **size)).save(path)


def test_an_array_is_read_like_a_video():
    frames = np.stack([numbered_picture(number) for number in range(5)])
    with ArrayReader(frames, 10.0) as reader:
        info = reader.info
        assert (info.width, info.height, info.frame_count, info.fps, info.duration_sec) == (96, 64, 5, 10.0, 0.5)
        assert info.timestamps_sec.tolist() == [0.0, 0.1, 0.2, 0.3, 0.4]
        np.testing.assert_array_equal(reader.read([3, 0, 3]), frames[[3, 0, 3]])
        with pytest.raises(InputError, match="there is no frame 5; frames are numbered 0 to 4"):
            reader.read([5])


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((2, 4, 4, 3), np.float32), "frames are float32: must be uint8, RGB from 0 to 255"),
        (np.zeros((4, 4, 3), np.uint8), r"the shape \[4, 4, 3\]: must have \[T, H, W, 3\]"),
        (np.zeros((2, 3, 4, 4), np.uint8), r"the shape \[2, 3, 4, 4\]"),
        (np.zeros((0, 4, 4, 3), np.uint8), r"the shape \[0, 4, 4, 3\]"),
    ],
)
def test_other_arrays_are_refused(frames, message):
    with pytest.raises(InputError, match=message):
        ArrayReader(frames, 10.0)


@pytest.mark.parametrize("fps", [0, -1, np.nan, np.inf, True, "25", [25], 1j])
def test_a_bad_rate_is_refused(fps):
    with pytest.raises(InputError, match="must be a positive number of frames per second"):
        check_fps(fps, "frames")
    assert check_fps(np.float32(25), "frames") == 25.0
    with pytest.raises(InputError, match="frames have no times of their own: .* fps=25"):
        check_fps(None, "frames")


def test_pictures_are_taken_in_natural_order(tmp_path):
    for number in (10, 9, 1, 100):
        save(tmp_path / f"shot{number}.png", number)
    save(tmp_path / "shot0.bmp", 0)
    (tmp_path / "notes.txt").write_text("x")
    with PicturesReader(tmp_path, 25.0) as reader:
        assert numbers_in(reader.read(range(5))) == [0, 1, 9, 10, 100]


def test_grey_and_turned_pictures(tmp_path):
    grey = Image.fromarray(numbered_picture(3)).convert("L")
    exif = grey.getexif()
    exif[0x0112] = 8  # to be turned by 90 degrees
    grey.save(tmp_path / "a.png", exif=exif)
    with PicturesReader(tmp_path, 25.0) as reader:
        expected = np.rot90(np.asarray(grey))
        np.testing.assert_array_equal(reader.read([0])[0], np.stack([expected] * 3, axis=-1))


def test_pictures_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="there is no picture in this folder"):
        PicturesReader(tmp_path, 25.0)
    save(tmp_path / "1.png", 1)
    save(tmp_path / "2.png", 2, width=48)
    (tmp_path / "3.png").write_bytes((tmp_path / "1.png").read_bytes()[:60])
    Image.fromarray(np.zeros((64, 96), np.uint16)).save(tmp_path / "4.png")
    with PicturesReader(tmp_path, 25.0) as reader:
        with pytest.raises(InputError, match=r"2\.png is 48x64, but the first picture is 96x64"):
            reader.read([1])
        with pytest.raises(InputError, match=r"3\.png cannot be read as a picture"):
            reader.read([2])
        with pytest.raises(InputError, match=r"4\.png has pixels of the kind I;16"):
            reader.read([3])


def test_a_folder_with_a_video_is_no_folder_of_pictures(tmp_path):
    assert not is_picture_folder(tmp_path / "absent")
    assert not is_picture_folder(tmp_path)
    save(tmp_path / "cover.png", 1)
    assert is_picture_folder(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.mp4").write_bytes(b"x")
    assert not is_picture_folder(tmp_path)
