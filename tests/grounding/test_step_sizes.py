import dataclasses

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.grounding.inference.clip import ClipConfig
from stvg_jax.grounding.step_sizes import fit_backend, least_bytes
from stvg_jax.grounding.ta_stvg import TASTVGConfig
from stvg_jax.runtime.memory import Rows

FULL = TASTVGConfig()


def fit(config, resolution):
    return fit_backend(config, ClipConfig(resolution=resolution))


def steps(config, resolution):
    fitted = fit(config, resolution)
    return [fitted.resnet.images_per_step, fitted.swin.windows_per_step, fitted.transformer.frames_per_step]


def test_the_full_size_model_keeps_the_measured_steps():
    assert steps(FULL, 420) == [4, 8, 4]


def test_smaller_pictures_and_models_take_larger_steps():
    images, windows, frames = steps(FULL, 96)
    assert images > 50
    assert windows == 8, "a window has the same tokens whatever the picture"
    assert frames > 50
    resnet = dataclasses.replace(FULL.resnet, width=32)
    swin = dataclasses.replace(FULL.swin, window=(8, 4, 4))
    small = dataclasses.replace(FULL, resnet=resnet, swin=swin)
    assert steps(small, 420)[0] == 8
    assert steps(small, 420)[1] > 64


def test_there_is_always_a_step_and_nothing_else_changes():
    assert steps(FULL, 4096) == [1, 8, 1]
    fitted = fit(FULL, 420)
    resnet = dataclasses.replace(fitted.resnet, images_per_step=None)
    swin = dataclasses.replace(fitted.swin, windows_per_step=None)
    transformer = dataclasses.replace(fitted.transformer, frames_per_step=None)
    assert dataclasses.replace(fitted, resnet=resnet, swin=swin, transformer=transformer) == FULL


def test_steps_that_are_set_stay():
    config = dataclasses.replace(FULL, resnet=dataclasses.replace(FULL.resnet, images_per_step=3))
    assert steps(config, 420) == [3, 8, 4]
    config = dataclasses.replace(FULL, swin=dataclasses.replace(FULL.swin, windows_per_step=0))
    with pytest.raises(InputError, match="config.model.swin.windows_per_step is 0; it must be at least 1"):
        fit(config, 420)


def test_the_least_memory_is_that_of_the_pixels_and_of_the_largest_array_of_a_picture():
    """At the usual size: the larger one of the stem's output and a frame's scores."""
    clip = 2 * 64 * 420 * 588 * 3 * 4
    stem = 420 * 588 // 4 * 64 * 4
    assert least_bytes(FULL, Rows(2, 64, 420, 588)) == clip + stem
    tokens = 2 * 4096 * 5734 / 1024 + 32
    assert least_bytes(FULL, Rows(1, 1, 4096, 5734, 1, 2)) == pytest.approx(4096 * 5734 * 3 + 8 * tokens**2 * 2)
