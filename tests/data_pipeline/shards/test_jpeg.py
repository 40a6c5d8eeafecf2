"""Stored pictures: what resizing and compression change, and what is refused."""

import io
import pathlib

import numpy as np
import pytest
from PIL import Image

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.frames import model_size, resize
from stvg_jax.data_pipeline.shards import Settings, jpeg
from tests.videos import numbered_picture

RESIZED = dict(np.load(pathlib.Path(__file__).parents[2] / "goldens" / "resize_cases.npz"))


def smooth_picture(height, width):
    rows, columns = np.mgrid[:height, :width] / 20
    waves = np.stack([np.sin(rows), np.cos(columns), np.sin(rows + columns)], axis=-1)
    return (127 + 100 * waves).astype(np.uint8)


def picture_of_case(height, width):
    blocks = np.random.default_rng(int(RESIZED["seed"]) + height).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    return blocks.astype(np.uint8).repeat(8, 0).repeat(8, 1)[:height, :width]


@pytest.mark.parametrize("case", [name for name in RESIZED if "x" in name and not name.endswith(".shape")])
def test_stored_pixels_are_within_one_step_of_the_released_preprocessing(case):
    height, width = (int(n) for n in case.split("x"))
    resized = jpeg.resized(picture_of_case(height, width), model_size(height, width, 420))
    difference = 255 * RESIZED[case] - np.asarray(resized).transpose(2, 0, 1)[:, ::29, ::31]
    assert np.abs(difference).max() <= 1.001


def test_compression_at_the_default_quality_changes_little():
    picture = smooth_picture(120, 168)
    errors = np.abs(jpeg.decode(jpeg.encode(picture)).astype(int) - picture)
    assert errors.mean() < 0.7
    assert errors.max() <= 6
    smaller = jpeg.encode(picture, quality=95, subsampling="4:2:0")
    assert len(smaller) < len(jpeg.encode(picture))
    assert np.abs(jpeg.decode(smaller).astype(int) - picture).mean() > errors.mean()


def test_size_of_reads_the_header_only():
    data = jpeg.encode(numbered_picture(3))
    assert jpeg.size_of(data) == jpeg.size_of(data[: len(data) // 2]) == (64, 96)


def test_what_is_no_whole_jpeg_in_colour_is_refused():
    data = jpeg.encode(numbered_picture(3))
    with pytest.raises(InputError, match="damaged JPEG"):
        jpeg.decode(data[: len(data) // 2])
    with pytest.raises(InputError, match="not a JPEG"):
        jpeg.decode(b"no picture")
    grey = io.BytesIO()
    Image.fromarray(numbered_picture(3)).convert("L").save(grey, "JPEG")
    with pytest.raises(InputError, match="JPEG in L"):
        jpeg.decode(grey.getvalue())


@pytest.mark.parametrize(
    ("height", "size", "stored"),
    [
        (420, (1080, 1920), (420, 588)),
        (420, (640, 360), (420, 236)),
        (420, (240, 426), (240, 426)),
        (420, (420, 747), (420, 747)),
        (0, (1080, 1920), (1080, 1920)),
    ],
)
def test_frames_are_stored_at_the_models_size_and_never_enlarged(height, size, stored):
    assert Settings(height).stored_size(*size) == stored


@pytest.mark.parametrize(
    ("sizing", "height", "size", "stored"),
    [
        ("five_to_three", 352, (1080, 1920), (330, 586)),
        ("five_to_three", 352, (640, 360), (586, 330)),
        ("five_to_three", 352, (240, 426), (240, 426)),
        ("five_to_three", 352, (349, 620), (330, 586)),
        ("proportional", 448, (1080, 1920), (405, 720)),
        ("proportional", 0, (1080, 1920), (1080, 1920)),
    ],
)
def test_frames_are_reduced_by_another_size_rule(sizing, height, size, stored):
    settings = Settings(height, sizing=sizing)
    assert settings.stored_size(*size) == stored
    picture = smooth_picture(*size)
    resized = np.rint(255 * resize(picture[None], stored, sizing)[0]).astype(np.uint8)
    assert settings.stored(picture) == jpeg.encode(resized)


def test_reduced_frames_serve_the_rule_that_reduced_them():
    usual = Settings(420)
    assert [usual.serves(height, "squeezed") for height in (420, 224, 448)] == [True, True, False]
    assert not usual.serves(420, "proportional") and not usual.serves(352, "five_to_three")
    sharp = Settings(352, sizing="five_to_three")
    assert [sharp.serves(height, "five_to_three") for height in (352, 224, 448)] == [True, False, False]


def test_the_usual_size_rule_is_not_written():
    """So that stores of earlier versions and of this one are alike."""
    assert Settings().values == {"height": 420, "quality": 95, "subsampling": "4:4:4"}
    assert Settings(sizing="five_to_three").values == Settings().values | {"sizing": "five_to_three"}
    digests = [
        jpeg.make_identity("a.mp4", "0-5", "ab" * 32, settings)
        for settings in (Settings(), Settings(sizing="five_to_three"))
    ]
    # That of the version before there were size rules.
    assert digests[0] == "c25ca5e6c26bb5eb" and digests[1] != digests[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((-1,), "height -1"),
        ((420, 0), "quality 0"),
        ((420, 101), "quality 101"),
        ((420, 95, "4:1:1"), "4:1:1"),
        ((420, 95, "4:4:4", "round"), "unknown size rule 'round'; choose one of squeezed, proportional, five_to_three"),
    ],
)
def test_settings_are_checked(values, message):
    with pytest.raises(InputError, match=message):
        Settings(*values)


def test_resizing_in_whole_numbers_is_near_the_exact_one():
    picture = smooth_picture(108, 192)
    exact = 255 * resize(picture[None], (42, 58))[0]
    assert np.abs(np.asarray(jpeg.resized(picture, (42, 58))) - exact).max() <= 1.001


def test_a_small_file_that_claims_a_huge_picture_is_refused():
    data = bytearray(jpeg.encode(np.zeros((16, 16, 3), np.uint8)))
    size = data.index(b"\xff\xc0") + 5
    data[size : size + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(InputError, match="is not a JPEG"):
        jpeg.decode(bytes(data))
