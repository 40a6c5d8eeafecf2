"""TubeDETR's switches, batching and losses, and what its parameters do, on a tiny model."""

from __future__ import annotations

import dataclasses
import functools
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx

from stvg_jax.core.config import build, load_config_file
from stvg_jax.core.errors import InputError
from stvg_jax.core.registry import default_config, get_family
from stvg_jax.core.tree import flatten, unflatten
from stvg_jax.experiment.building import Experiment
from stvg_jax.grounding.inference.clip import ClipConfig
from stvg_jax.grounding.losses import guided_attention
from stvg_jax.grounding.targets import GroundingTargets
from stvg_jax.grounding.task import GroundingTask
from stvg_jax.grounding.tubedetr import TubeDETRConfig, TubeDETRLossConfig
from stvg_jax.grounding.tubedetr_parts import FAST_BRANCHES, logits_between
from stvg_jax.grounding.types import GroundingOutput
from stvg_jax.runtime.memory import Rows
from tests.grounding import rows
from tests.grounding.batches import assert_same_row, make_batch, padded, with_empty_row
from tests.grounding.query_settings import QUERIES, QUERY_LOSSES
from tests.tiny import apply, forward, shallow, thin, tiny, tiny_model_config


def with_noise(parameters: dict) -> dict:
    """Parameters of which none is zero, as most of the fast branch's are at the start."""
    noise = np.random.default_rng(1)
    flat = flatten(parameters)
    return unflatten({p: v + 0.1 * noise.standard_normal(v.shape).astype(np.float32) for p, v in flat.items()})


# Of 5 x 7 cells; the backbones have one stage.
video = functools.partial(make_batch, h=18, w=26)


@pytest.fixture(scope="module")
def model():
    """Module and parameters; every second frame is a slow one."""
    module, parameters = tiny(system="tubedetr", stride=2, **shallow("tubedetr"))
    return module, with_noise(parameters)


@pytest.fixture(scope="module")
def run(model):
    """batch -> output; compiled once for each shape."""
    module, parameters = model
    predict = jax.jit(lambda p, b: module.apply(p, lambda m: m.predict_to_train(b, None, rngs=None)))
    return lambda batch: jax.device_get(predict(parameters, batch))


def test_defaults():
    family, config = get_family("tubedetr"), default_config("tubedetr")
    own = {"stride", "fast", "along_time", "time", "max_frames", "frozen_backbones"}
    assert set(config) - {"resnet", "roberta", "transformer"} == own | set(QUERIES)
    assert {name: config[name] for name in QUERIES} == QUERIES
    assert (config["stride"], config["fast"], config["time"]) == (4, "residual", "sine")
    assert config["transformer"]["head_dropout_rate"] == 0.5
    losses = {"box_l1": 5.0, "box_giou": 2.0, "start_end": 10.0, "guided_attention": 1.0, "sigma": 1.0}
    assert dataclasses.asdict(family.losses()) == losses | QUERY_LOSSES
    rates = {"base": 5e-5, "image_backbone": 1e-5, "text": 5e-5, "target_queries": 1.25e-4}
    assert dataclasses.asdict(family.learning_rates()) == rates
    assert (family.config().words, family.config().reads_subject, family.config().uses) == ((0, 0), False, ())
    assert family.protocol.passes == 1


@pytest.mark.parametrize(
    ("name", "epochs", "drops", "frames"),
    [
        ("tubedetr_hcstvg1", 40, (10, 20, 30), 100),
        ("tubedetr_hcstvg2", 20, (10,), 100),
        ("tubedetr_vidstg", 10, (), 200),
    ],
)
def test_released_configurations(name, epochs, drops, frames):
    config = load_config_file(Path(name))
    vidstg = {"appearance_words": 20, "sampling_threshold": 0.45}
    assert config["model"] == default_config("tubedetr") | (vidstg if name == "tubedetr_vidstg" else {})
    clip, schedule = config["clip"], config["schedule"]
    assert (clip["resolution"], clip["sizing"]) == (352, "five_to_three")
    assert (clip["frames_per_pass"], clip["sample_fps"]) == (200, 5.0)
    assert (schedule["epochs"], schedule["drop_epochs"], schedule["first_update"]) == (epochs, drops, 0)
    assert config["train"]["initialise"] == ("mdetr_tubedetr",)
    experiment = Experiment.build(config)
    sizes = {"rows": 1, "frames": None, "width": None, "tokens": 32}
    shapes = get_family("tubedetr").batch(config, experiment.model, experiment.clip, **sizes)
    # Of a wide video: 330 x 586, padded.
    assert shapes["frames"].shape == (1, frames, 336, 587, 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fast": "slow"}, "fast is 'slow'; it must be one of residual, gating, pool, transformer, noslow, off"),
        ({"time": "cosine"}, "time is 'cosine'; it must be one of sine, learned, none"),
        ({"stride": 0}, "stride is 0; it must be at least 1"),
        ({"fast": "transformer", "time": "none"}, 'needs positions over time; set time="sine"'),
        ({"swin": {}}, "config.model.swin is unknown"),
    ],
)
def test_wrong_configurations_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        build(TubeDETRConfig, settings, "config.model")


def test_a_loss_without_width_is_refused():
    with pytest.raises(InputError, match="sigma is 0.0; it must be positive"):
        build(TubeDETRLossConfig, {"sigma": 0.0}, "config.loss")


def test_step_sizes_are_chosen_where_none_are_set():
    family = get_family("tubedetr")
    chosen = family.fit(family.config(), ClipConfig(resolution=352))
    assert chosen.resnet.images_per_step >= 1 and chosen.transformer.frames_per_step >= 1
    assert (chosen.stride, chosen.fast) == (4, "residual")
    wide = dataclasses.replace(chosen.resnet, blocks=(3, 4, 6), images_per_step=7)
    assert family.fit(TubeDETRConfig(resnet=wide), ClipConfig()).resnet.images_per_step == 7
    uneven = dataclasses.replace(chosen.transformer, heads=7)
    with pytest.raises(InputError, match="config.model.transformer has 256 channels, which 7 heads cannot share"):
        family.fit(TubeDETRConfig(transformer=uneven), ClipConfig())


def test_the_least_memory_is_that_of_pixels_and_tokens():
    family, rows_of = get_family("tubedetr"), Rows(rows=2, frames=200, height=320, width=320)
    assert family.least_bytes(family.config(), rows_of) == rows_of.pixels_bytes + 4 * 2 * 200 * 100 * 256


@pytest.mark.parametrize("fast", FAST_BRANCHES)
def test_batch_and_bucket_change_nothing(fast):
    """Videos with other numbers of slow frames, of which the last is followed by padding, in one batch."""
    module, parameters = tiny(system="tubedetr", stride=3, fast=fast, **thin("tubedetr"))
    parameters = with_noise(parameters)
    batches = [make_batch(*shape, seed=i) for i, shape in enumerate([(8, 18, 26, 6), (1, 9, 16, 3)])]

    def predict(batch):
        return apply(module, parameters, lambda m, b: m.predict_to_train(b, None, rngs=None), batch)

    together = predict(padded(batches, t=13, h=24, w=32, l=8))
    for i, batch in enumerate(batches):
        assert_same_row(predict(batch), 0, together, i, batch.frames.shape[1])


def test_a_row_of_nothing_but_padding_stays_finite_and_harmless(run):
    batch = padded([video(), video()], t=10, h=24, w=32, l=8)
    full, partly = (run(b) for b in (batch, with_empty_row(batch, 1)))
    assert_same_row(full, 0, partly, 0, 9)
    assert np.isfinite(partly.boxes_cxcywh).all()


def test_stepwise_memory_options_change_nothing(run, model):
    batch = padded([video(), video(7, seed=1)], t=10, h=24, w=32, l=8)
    steps = {
        "resnet": shallow("tubedetr")["resnet"] | {"images_per_step": 4},
        "transformer": tiny_model_config()["transformer"] | {"frames_per_step": 3},
    }
    module, _ = tiny(system="tubedetr", stride=2, **steps)
    stepped = apply(module, model[1], lambda m, b: m.predict_to_train(b, None, rngs=None), batch)
    assert_same_row(run(batch), 0, stepped, 0, 9)
    assert_same_row(run(batch), 1, stepped, 1, 7)


def test_the_encoder_sees_the_slow_frames_and_the_fast_branch_the_rest(model):
    """Changing one frame changes the memory of its group if it is a slow one, else its own alone."""
    module, parameters = model
    batch = video(7)

    def changed(frame: int) -> list[int]:
        other = batch.frames.copy()
        other[:, frame] += 1
        one, two = (
            apply(module, parameters, lambda m, f: m.encode(m.encode_video(f), batch.text_ids).tokens, frames)
            for frames in (batch.frames, other)
        )
        return np.flatnonzero(np.abs(one - two).max((0, 2, 3)) > 1e-5).tolist()

    assert changed(2) == [2, 3]
    assert changed(3) == [3]
    assert changed(6) == [6]


def test_without_a_fast_branch_only_slow_frames_are_read():
    module, parameters = tiny(system="tubedetr", stride=2, fast="off", **thin("tubedetr"))
    batch = video(7)
    other = dataclasses.replace(batch, frames=batch.frames.copy())
    other.frames[:, 1::2] = np.nan
    one, two = (forward(module, parameters, b).boxes_cxcywh for b in (batch, other))
    np.testing.assert_array_equal(one, two)
    assert one.shape == (1, 1, 7, 4)


def test_a_learned_table_ends_where_its_rows_do():
    module, parameters = tiny(system="tubedetr", time="learned", max_frames=4, **thin("tubedetr"))
    assert module.declarations["time_table"].shape == (4, 32)
    with pytest.raises(ValueError, match="5 frames; the learned positions are of 4"):
        forward(module, parameters, video(5))


def test_every_parameter_acts(model):
    module, parameters = model
    batch = make_batch(t=10, h=18, w=22)

    def mixed_outputs(p, batch):
        out = jax.tree.leaves(module.apply(p, lambda m: m.predict_to_train(batch, None, rngs=None)))
        rng = np.random.default_rng(0)
        return sum((leaf * rng.standard_normal(leaf.shape)).sum() for leaf in out)

    gradients = flatten(jax.device_get(jax.jit(jax.grad(mixed_outputs))(parameters, batch)))
    # Softmax ignores a key's bias, and of content that is zero the first layer's values are their bias.
    idle = [
        path
        for path, gradient in gradients.items()
        if not path.endswith("/key/bias") and path != "decoder/layers/0/self_attn/value/kernel"
        if np.abs(gradient).max() < 1e-7
    ]
    assert not idle


def test_the_fast_branch_gives_the_backbone_no_gradient():
    module, parameters = tiny(system="tubedetr", fast="noslow", stride=2, **thin("tubedetr"))
    parameters = with_noise(parameters)

    def total(part, parameters, batch):
        return module.apply(parameters | part, lambda m: m(batch)).boxes_cxcywh.sum()

    used = {name: parameters[name] for name in ("resnet", "appearance_projection")}
    gradients = jax.device_get(jax.jit(jax.grad(total))(used, parameters, video()))
    assert not any(np.any(gradient) for gradient in jax.tree.leaves(gradients["resnet"]))
    assert all(np.any(gradient) for gradient in jax.tree.leaves(gradients["appearance_projection"]))


def test_dropout_acts_only_with_a_key_and_is_a_function_of_it(model, run):
    batch = video()

    def boxes(m, batch, key):
        return m.predict_to_train(batch, None, rngs=nnx.Rngs(dropout=key)).boxes_cxcywh

    keys = (jax.random.key(seed, impl="rbg") for seed in (1, 1, 2))
    one, again, other = (apply(*model, boxes, batch, key) for key in keys)
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-4
    assert np.abs(one - run(batch).boxes_cxcywh).max() > 1e-4


def test_halves_equal_the_whole(model, run):
    batch = video()
    encoded = apply(*model, lambda m, frames: m.encode_video(frames), batch.frames)
    halves = apply(*model, lambda m, v, ids: m.ground(v, ids), encoded, batch.text_ids)
    assert_same_row(dataclasses.replace(run(batch), attention=None), 0, halves, 0, 9)


def test_padding_and_parts_change_no_loss_and_no_gradient(model):
    task = GroundingTask(model[0], TubeDETRLossConfig())
    terms = {"box_l1", "box_giou", "start_end", "guided_attention"}
    _, parameters = tiny(system="tubedetr", stride=2, **shallow("tubedetr"))
    parameters |= {name: model[1][name] for name in ("fast_branch", "decoder", "box_head", "start_end_head")}
    rows.assert_padding_and_parts_change_nothing(task, parameters, terms)


@pytest.mark.slow
def test_a_tiny_model_overfits_one_batch():
    transformer = tiny_model_config()["transformer"] | {"decoder_layers": 1}
    module, parameters = tiny(system="tubedetr", stride=2, transformer=transformer)
    batch, targets = rows.make_rows(t=4, h=64, w=64)
    losses, _ = rows.learn(GroundingTask(module, TubeDETRLossConfig()), parameters, batch, targets, steps=60)
    (_, first), (_, last) = losses[0], losses[-1]
    assert all(last[name][-1] < 0.3 * first[name][-1] for name in ("box_l1", "start_end"))


def make_targets(in_tube, frames_valid=None) -> GroundingTargets:
    in_tube = np.array(in_tube)
    nothing = np.zeros((len(in_tube), 0), np.float32)
    return GroundingTargets(in_tube, np.full((*in_tube.shape, 4), 0.5, np.float32), nothing, nothing, frames_valid)


def test_guided_attention_is_the_mean_over_frames_outside():
    weights = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.25, 0.25, 0.5]], np.float32)
    cost = [-np.log(1 - row + 1e-6).sum() for row in weights]
    found = guided_attention(weights[None, None], make_targets([[False, True, False]]))
    np.testing.assert_allclose(found, [[(cost[0] + cost[2]) / 2]], 1e-5)
    np.testing.assert_array_equal(guided_attention(weights[None, None], make_targets([[True, True, True]])), [[0]])
    # Attention that is all on one frame costs much, but not without bound.
    one = np.eye(3, dtype=np.float32)[None, None]
    np.testing.assert_allclose(guided_attention(one, make_targets([[False, True, True]])), [[-np.log(1e-6)]], 1e-5)


def test_padding_counts_nowhere_in_guided_attention():
    weights = np.array([[0.7, 0.3], [0.4, 0.6]], np.float32)
    alone = guided_attention(weights[None, None], make_targets([[False, True]]))
    loud = np.full((1, 1, 3, 3), 0.9, np.float32)
    loud[0, 0, :2, :2] = weights
    valid = np.array([[True, True, False]])
    np.testing.assert_allclose(guided_attention(loud, make_targets([[False, True, False]], valid)), alone, 1e-6)


def test_queries_that_do_not_see_one_another_have_no_guided_attention():
    module, parameters = tiny(system="tubedetr", along_time=False, **thin("tubedetr"))
    batch, targets = rows.make_rows(t=4, h=16, w=16)
    output = apply(module, parameters, lambda m, b: m.predict_to_train(b, None, rngs=None), batch)
    assert output.attention is None
    assert set(TubeDETRLossConfig().terms(output, targets)) == {"box_l1", "box_giou", "start_end"}
    moved = dataclasses.replace(batch, frames=batch.frames.copy())
    moved.frames[:, 0] += 1
    other = apply(module, parameters, lambda m, b: m.predict_to_train(b, None, rngs=None), moved)
    assert isinstance(other, GroundingOutput)


def test_actioness_is_that_the_event_has_started_and_not_ended():
    start, end = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.3, 0.6])
    logits = np.log(np.stack([start, end], axis=-1)).astype(np.float32)[None, None]
    expected = np.array([0.7 * 1.0, 0.9 * 0.9, 1.0 * 0.6])
    np.testing.assert_allclose(jax.nn.sigmoid(logits_between(logits, None))[0, 0], expected, 1e-5)
    loud = np.concatenate([logits, np.full((1, 1, 2, 2), 9, np.float32)], axis=2)
    found = logits_between(loud, np.arange(5)[None] < 3)
    np.testing.assert_allclose(jax.nn.sigmoid(found)[0, 0, :3], expected, 1e-5)
    assert np.isfinite(found).all()


def test_no_part_of_it_is_of_motion(model):
    assert not [path for path in model[0].declarations if re.match("swin|motion|actioness", path)]
