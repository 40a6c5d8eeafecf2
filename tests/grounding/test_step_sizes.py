from stvg_jax.grounding.step_sizes import fit_backend
from stvg_jax.models.registry import default_config

STEPS = (("resnet", "images_per_step"), ("swin", "windows_per_step"), ("transformer", "frames_per_step"))


def steps(config, resolution):
    fitted = fit_backend(config, resolution)
    return [fitted[part][name] for part, name in STEPS]


def test_the_full_size_model_keeps_the_measured_steps():
    assert steps(default_config("ta_stvg"), 420) == [4, 8, 4]


def test_smaller_pictures_and_models_take_larger_steps():
    full = default_config("ta_stvg")
    images, windows, frames = steps(full, 96)
    assert images > 50
    assert windows == 8, "a window has the same tokens whatever the picture"
    assert frames > 50
    full["resnet"] |= {"width": 32}
    full["swin"] |= {"window": (8, 4, 4)}
    assert steps(full, 420)[0] == 8
    assert steps(full, 420)[1] > 64


def test_there_is_always_a_step_and_nothing_else_changes():
    config = default_config("ta_stvg")
    assert steps(config, 10_000) == [1, 8, 1]
    fitted = fit_backend(config, 420)
    for part, name in STEPS:
        assert config[part][name] is None
        fitted[part][name] = None
    assert fitted == config
