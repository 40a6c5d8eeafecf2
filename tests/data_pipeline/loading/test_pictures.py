"""Decoding and resizing against Pillow and against the released preprocessing."""

import sys
import types

import numpy as np
import pytest

from stvg_jax.data_pipeline.frames import model_size
from stvg_jax.data_pipeline.loading.pictures import decode_jpeg, import_tensorflow, show
from stvg_jax.data_pipeline.loading.plan import View, whole_view
from stvg_jax.data_pipeline.shards.jpeg import decode, encode
from tests.data_pipeline.test_frames import CASES, PROPORTIONAL, RESIZED, picture_of_case
from tests.videos import numbered_picture

PICTURE = numbered_picture(77, 96, 64)


def shown(picture, view: View, **options):
    return np.asarray(show(picture, np.array([*view.part, *view.size, view.flip], np.int32), **options))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_decoding_equals_pillow(subsampling):
    noise = np.random.default_rng(0).integers(0, 256, (61, 83, 3)).astype(np.uint8)
    for picture in (PICTURE, noise):
        data = encode(picture, 90, subsampling)
        np.testing.assert_array_equal(decode_jpeg(data).numpy(), decode(data))


@pytest.mark.parametrize("case", CASES)
def test_resizing_equals_the_released_preprocessing(case):
    height, width = (int(n) for n in case.split("x"))
    resized = shown(picture_of_case(height, width), whole_view((height, width), model_size(height, width, 420)))
    assert resized.dtype == np.uint8
    # Whole numbers are half a step away at most.
    difference = np.abs(resized.transpose(2, 0, 1)[:, ::29, ::31] / 255 - RESIZED[case])
    assert difference.max() <= 0.51 / 255


@pytest.mark.parametrize(("height", "width"), [(720, 1280), (240, 320), (640, 360)])
def test_resizing_without_antialiasing_equals_the_released_preprocessing(height, width):
    case, view = f"448.{height}x{width}", whole_view((height, width), model_size(height, width, 448, "proportional"))
    resized = shown(picture_of_case(height, width, int(PROPORTIONAL["seed"])), view, antialias=False)
    difference = np.abs(resized.transpose(2, 0, 1)[:, ::29, ::31] / 255 - PROPORTIONAL[case])
    assert difference.max() <= 0.51 / 255


def test_tensorflow_gets_no_gpu(monkeypatch):
    visible = {"CPU": ["cpu:0"], "GPU": ["gpu:0", "gpu:1"]}
    config = types.SimpleNamespace(set_visible_devices=lambda devices, kind: visible.update({kind: devices}))
    monkeypatch.setitem(sys.modules, "tensorflow", types.SimpleNamespace(config=config))
    import_tensorflow.__wrapped__()
    assert visible == {"CPU": ["cpu:0"], "GPU": []}


def test_a_picture_of_the_right_size_is_left_as_it_is():
    np.testing.assert_array_equal(shown(PICTURE, whole_view((64, 96), (64, 96))), PICTURE)


def test_parts_are_cut_out_before_flipping():
    view = View((64, 96), part=(4, 10, 20, 30), size=(20, 30), flip=True)
    np.testing.assert_array_equal(shown(PICTURE, view), PICTURE[4:24, 10:40][:, ::-1])
    half = shown(PICTURE, View((64, 96), part=(4, 10, 20, 30), size=(10, 15)))
    np.testing.assert_allclose(half, shown(PICTURE[4:24, 10:40], whole_view((20, 30), (10, 15))))
