"""Resizing against the released preprocessing, and clips read frame by frame against clips read whole."""

import pathlib

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.core.pixels import IMAGENET_MEAN, IMAGENET_STD, normalize
from stvg_jax.data_pipeline.frames import load_clip, model_size, prepare, resize
from stvg_jax.data_pipeline.resampling import resample_smoothly
from stvg_jax.data_pipeline.size_rules import get_size_rule
from stvg_jax.data_pipeline.video import open_video
from stvg_jax.grounding.inference.clip import ClipConfig
from tests.videos import write_video

GOLDENS = pathlib.Path(__file__).parents[1] / "goldens"
RESIZED = dict(np.load(GOLDENS / "resize_cases.npz"))
CASES = [name for name in RESIZED if "x" in name and not name.endswith(".shape")]
PROPORTIONAL = dict(np.load(GOLDENS / "stcat_resize_cases.npz"))


TUBEDETR = dict(np.load(GOLDENS / "tubedetr_resize_cases.npz"))


def named(cases):
    """Names of the cases of a golden file, "resolution.height x width"."""
    return [name for name in cases if name.count(".") == 1]


def picture_of_case(height, width, seed=int(RESIZED["seed"])):
    blocks = np.random.default_rng(seed + height).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    return blocks.astype(np.uint8).repeat(8, 0).repeat(8, 1)[:height, :width]


@pytest.mark.parametrize("case", CASES)
def test_resize_equals_the_released_preprocessing(case):
    height, width = (int(n) for n in case.split("x"))
    size = model_size(height, width, 420)
    assert (3, *size) == tuple(RESIZED[case + ".shape"])
    resized = resize(picture_of_case(height, width)[None], size)
    assert resized.dtype == np.float32
    # Measured: 2.3e-5, rounding of float32 in the reference.
    np.testing.assert_allclose(resized[0].transpose(2, 0, 1)[:, ::29, ::31], RESIZED[case], atol=5e-5, rtol=0)


@pytest.mark.parametrize("case", named(PROPORTIONAL))
def test_proportional_resizing_equals_the_released_preprocessing(case):
    resolution, size = case.split(".")
    height, width = (int(n) for n in size.split("x"))
    size = model_size(height, width, int(resolution), "proportional")
    assert (3, *size) == tuple(PROPORTIONAL[case + ".shape"])
    picture = picture_of_case(height, width, int(PROPORTIONAL["seed"]))[None]
    resized = resize(picture, size, "proportional")
    assert resized.dtype == np.float32
    # Measured: 2.3e-5, rounding of float32 in the reference.
    np.testing.assert_allclose(resized[0].transpose(2, 0, 1)[:, ::29, ::31], PROPORTIONAL[case], atol=5e-5, rtol=0)
    np.testing.assert_array_equal(prepare(picture, int(resolution), "proportional"), normalize(resized))


@pytest.mark.parametrize("case", named(TUBEDETR))
def test_resizing_in_bytes_equals_the_released_preprocessing(case):
    resolution, size = case.split(".")
    height, width = (int(n) for n in size.split("x"))
    size = model_size(height, width, int(resolution), "five_to_three")
    assert (*size, 3) == tuple(TUBEDETR[case + ".shape"])
    picture = picture_of_case(height, width, int(TUBEDETR["seed"]))[None]
    resized = resize(picture, size, "five_to_three")
    levels = np.rint(255 * resized[0]).astype(np.uint8)
    np.testing.assert_allclose(resized[0], levels / 255, atol=1e-7)
    np.testing.assert_array_equal(levels[::29, ::31], TUBEDETR[case])
    np.testing.assert_array_equal(prepare(picture, int(resolution), "five_to_three"), normalize(resized))


def test_resizing_in_bytes_is_the_sharp_one_rounded():
    picture = np.random.default_rng(0).integers(0, 256, (1, 60, 90, 3)).astype(np.uint8)
    for size in ((20, 35), (60, 90), (61, 200), (1, 1)):
        difference = resize(picture, size, "five_to_three") - resize(picture, size, "proportional")
        assert np.abs(255 * difference).max() < 1.1


@pytest.mark.parametrize(
    ("resolution", "longest"),
    # Pairs of the released code (TubeDETR, `datasets/video_transforms.py`).
    [(128, 213), (224, 373), (256, 427), (288, 480), (320, 533), (352, 587), (384, 640), (416, 693), (448, 746)]
    + [(480, 800), (800, 1333)],
)
def test_longer_sides_are_limited_as_in_the_released_preprocessing(resolution, longest):
    assert get_size_rule("five_to_three").largest(resolution) == (longest, longest)
    assert longest - 1 <= model_size(90, 160, resolution, "five_to_three")[1] <= longest


@pytest.mark.parametrize("sizing", ["proportional", "five_to_three"])
def test_enlarging_and_keeping_a_size_need_no_antialiasing(sizing):
    picture = picture_of_case(20, 30)[None]
    np.testing.assert_allclose(resize(picture, (20, 30), sizing), picture / 255, atol=1e-6)
    larger, bound = resize(picture, (50, 61), sizing), 2e-6 if sizing == "proportional" else 1.1 / 255
    np.testing.assert_allclose(larger, resize(picture, (50, 61)), atol=bound)


def test_resize_keeps_frames_apart():
    frames = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 9, 7, 3), np.uint8)
    resized = resize(frames, (4, 5))
    expected = np.arange(40)[:, None, None, None] / 255 * np.ones((1, 4, 5, 3))
    np.testing.assert_allclose(resized, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("height", "width", "resolution", "expected"),
    [
        (432, 768, 224, (224, 313)),
        (1080, 1920, 420, (420, 588)),
        (480, 640, 420, (420, 560)),
        (640, 360, 420, (420, 236)),
        (100, 100, 64, (64, 64)),
        (1000, 3, 500, (500, 1)),
    ],
)
def test_model_size(height, width, resolution, expected):
    assert model_size(height, width, resolution) == expected


@pytest.mark.parametrize(("sizes", "message"), [((1000, 1, 224), "too narrow"), ((10, 10, 0), "resolution=0")])
def test_model_size_refuses_what_leaves_no_pixels(sizes, message):
    with pytest.raises(InputError, match=message):
        model_size(*sizes)


def test_normalize_uses_the_statistics_of_imagenet():
    frames = np.array([IMAGENET_MEAN, np.add(IMAGENET_MEAN, IMAGENET_STD)], np.float32)[:, None, None]
    np.testing.assert_allclose(normalize(frames)[:, 0, 0], [[0, 0, 0], [1, 1, 1]], atol=1e-6)


def test_prepare_is_resize_then_normalize():
    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 100, 3)).astype(np.uint8)
    np.testing.assert_array_equal(prepare(frames, 32), normalize(resize(frames, (32, 44))))


def test_load_clip_equals_reading_then_preparing(tmp_path):
    with open_video(write_video(tmp_path / "a.mp4")) as reader:
        ids, steps = [17, 3, 3, 29, 4], []
        clip = load_clip(reader, ids, 32, progress=steps.append)
        np.testing.assert_array_equal(clip, prepare(reader.read(ids), 32))
        assert clip.dtype == np.float32
        assert sum(steps) == 4


def test_load_clip_names_a_frame_that_is_not_there(tmp_path):
    with open_video(write_video(tmp_path / "a.mp4", count=5)) as reader:
        with pytest.raises(InputError, match="no frame 5; frames are numbered 0 to 4"):
            load_clip(reader, [0, 5], 32)
        assert load_clip(reader, [], 32).shape == (0, 32, 44, 3)


@pytest.mark.parametrize("size", [(90, 160), (300, 40)])
def test_square_pictures_lose_their_proportions(size):
    assert model_size(*size, 64, "square") == (64, 64)
    assert get_size_rule("square").largest(64) == (64, 64)
    picture = picture_of_case(*size)[None]
    np.testing.assert_array_equal(resize(picture, (64, 64), "square"), resize(picture, (64, 64)))


@pytest.mark.parametrize(("size", "shown"), [((90, 90), (64, 64)), ((60, 90), (64, 96)), ((100, 400), (24, 96))])
def test_padded_pictures_keep_their_proportions(size, shown):
    rule, (height, width) = get_size_rule("padded"), shown
    assert rule.largest(64) == rule.size(*size, 64) == (64, 96)
    picture = picture_of_case(*size)
    padded = rule.resample(picture, (64, 96))
    np.testing.assert_array_equal(padded[:height, :width], resample_smoothly(picture, shown))
    np.testing.assert_allclose(normalize(padded)[height:], 0, atol=1e-6)
    np.testing.assert_allclose(normalize(padded)[:, width:], 0, atol=1e-6)
    with pytest.raises(ValueError, match="sizing is 'padded'; choose one of squeezed, "):
        ClipConfig(sizing="padded")
