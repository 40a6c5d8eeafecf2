"""STCAT's batching and losses, and what its parameters do, on a tiny model."""

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
from stvg_jax.grounding.stcat import STCATConfig, STCATLossConfig
from stvg_jax.grounding.stcat_decoders import clamped_logit
from stvg_jax.grounding.targets import GroundingTargets
from stvg_jax.grounding.types import GroundingOutput
from tests.grounding.batches import assert_same_row, make_batch, padded, with_empty_row
from tests.grounding.query_settings import QUERIES, QUERY_LOSSES
from tests.tiny import apply, forward, shallow, tiny, tiny_model_config

# Of 5 x 7 cells; the backbone has one stage.
video = functools.partial(make_batch, h=18, w=26)


@pytest.fixture(scope="module")
def model():
    return tiny(system="stcat", **shallow("stcat"))


@pytest.fixture(scope="module")
def run(model):
    """batch -> output; compiled once for each shape."""
    module, parameters = model
    compiled = jax.jit(lambda p, b: module.apply(p, lambda m: m(b)))
    return lambda batch: jax.device_get(compiled(parameters, batch))


def test_defaults():
    family, config = get_family("stcat"), default_config("stcat")
    own = {key: value for key, value in config.items() if key not in ("resnet", "roberta", "transformer")}
    assert own == {"frozen_backbones": True, "subject": False, "temporal_start": "query"} | QUERIES
    losses = {"box_l1": 5.0, "box_giou": 4.0, "start_end": 10.0, "actioness": 2.0, "guided_attention": 1.0}
    assert dataclasses.asdict(family.losses()) == losses | QUERY_LOSSES | {"outside_weight": 0.3, "sigma": 2.0}
    rates = {"base": 1e-4, "image_backbone": 2e-5, "text": 5e-5, "temporal_decoder": 1e-4, "target_queries": 2.5e-4}
    assert dataclasses.asdict(family.learning_rates()) == rates
    assert (family.config().words, family.config().reads_subject) == ((0, 0), False)
    assert family.config(subject=True).reads_subject


@pytest.mark.parametrize(
    ("name", "image_backbone", "giou", "epochs", "warm_up_all"),
    [("stcat_hcstvg1", 2e-5, 4.0, 90, False), ("stcat_vidstg", 1e-5, 3.0, 10, True)],
)
def test_released_configurations(name, image_backbone, giou, epochs, warm_up_all):
    config = load_config_file(Path(name))
    experiment = Experiment.build(config)
    vidstg = {"appearance_words": 20, "sampling_threshold": 0.45}
    assert config["model"] == default_config("stcat") | (vidstg if name == "stcat_vidstg" else {})
    assert (experiment.clip.resolution, experiment.clip.sizing) == (448, "proportional")
    assert experiment.train.initialise == ("mdetr_stcat",)
    assert (config["loss"]["box_giou"], experiment.learning_rates.image_backbone) == (giou, image_backbone)
    assert (experiment.schedule.epochs, experiment.schedule.warm_up_all) == (epochs, warm_up_all)
    sizes = {"rows": 1, "frames": None, "width": None, "tokens": 32}
    shapes = get_family("stcat").batch(config, experiment.model, experiment.clip, **sizes)
    # 405 x 720, padded to whole multiples of 28.
    assert shapes["frames"].shape == (1, 64, 420, 720, 3)


def test_motion_is_no_part_of_it(model):
    assert not [path for path in model[0].declarations if re.match("swin|motion|anchor_head", path)]
    with pytest.raises(InputError, match="config.model.swin is unknown"):
        build(STCATConfig, {"swin": {}}, "config.model")


def test_step_sizes_are_chosen_where_none_are_set():
    family = get_family("stcat")
    chosen = family.fit(family.config(), ClipConfig(resolution=448))
    assert chosen.resnet.images_per_step >= 1 and chosen.transformer.frames_per_step >= 1
    wide = dataclasses.replace(chosen.resnet, blocks=(3, 4, 6), images_per_step=7)
    assert family.fit(STCATConfig(resnet=wide), ClipConfig()).resnet.images_per_step == 7
    uneven = dataclasses.replace(chosen.transformer, heads=7)
    with pytest.raises(InputError, match="config.model.transformer has 256 channels, which 7 heads cannot share"):
        family.fit(STCATConfig(transformer=uneven), ClipConfig())


def test_batch_and_bucket_change_nothing(run):
    shapes = [(9, 18, 26, 6), (1, 9, 16, 3)]
    batches = [make_batch(*shape, seed=i) for i, shape in enumerate(shapes)]
    together = run(padded(batches, t=10, h=24, w=32, l=8))
    for i, batch in enumerate(batches):
        assert_same_row(run(batch), 0, together, i, batch.frames.shape[1])


def test_a_row_of_nothing_but_padding_stays_finite_and_harmless(run):
    batch = padded([video(), video()], t=10, h=24, w=32, l=8)
    full, partly = (run(b) for b in (batch, with_empty_row(batch, 1)))
    assert_same_row(full, 0, partly, 0, 9)
    assert np.isfinite(partly.boxes_cxcywh).all()


def test_stepwise_memory_options_change_nothing(run):
    batch = padded([video(), video(7, seed=1)], t=10, h=24, w=32, l=8)
    steps = {
        "resnet": shallow("stcat")["resnet"] | {"images_per_step": 4},
        "transformer": tiny_model_config()["transformer"] | {"frames_per_step": 5},
    }
    plain = run(batch)
    stepped = forward(*tiny(system="stcat", **steps), batch)
    assert_same_row(plain, 0, stepped, 0, 9)
    assert_same_row(plain, 1, stepped, 1, 7)


def test_every_frame_knows_of_the_others(run):
    """The encoder's temporal layers carry what one frame shows to the anchors of all."""
    batch = video()
    changed = dataclasses.replace(batch, frames=np.concatenate([batch.frames[:, :-1], batch.frames[:, :1]], axis=1))
    one, other = (run(b).row(0).boxes_cxcywh for b in (batch, changed))
    assert (np.abs(one - other).max((0, 2)) > 1e-6).all()


def test_every_parameter_acts(model):
    module, drawn = model
    # Fresh biases are zero, and of nothing but zeros the first layers of the decoders would make zeros.
    noise = np.random.default_rng(1)
    parameters = unflatten(
        {
            path: value + 0.1 * noise.standard_normal(value.shape).astype(np.float32) * path.endswith("bias")
            for path, value in flatten(drawn).items()
        }
    )
    batch = make_batch(t=10, h=18, w=22)

    def mixed_outputs(p, batch):
        out = jax.tree.leaves(module.apply(p, lambda m: m(batch)))
        rng = np.random.default_rng(0)
        return sum((leaf * rng.standard_normal(leaf.shape)).sum() for leaf in out)

    gradients = flatten(jax.device_get(jax.jit(jax.grad(mixed_outputs))(parameters, batch)))
    # As in TA-STVG: softmax ignores a key's bias, and queries of equal content have nothing to mix in a first layer.
    # The temporal decoder's weights there are an output, so its queries and keys act.
    cancels = ("/key/bias", "sa_kcontent_proj/bias", "sa_kpos_proj/bias", "sa_ktime_proj/bias")
    cancels += ("ca_kcontent_proj/bias", "ca_kpos_proj/bias")
    equal = re.compile("spatial_decoder/layers/0/(self_attn/(query|key)|sa_[qk](content|pos|time)_proj)/.*")
    zero = re.compile("(spatial_decoder/layers/0/sa_v_proj|temporal_decoder/layers/0/self_attn/value)/kernel")
    idle = [
        path
        for path, gradient in gradients.items()
        if not path.endswith(cancels) and not equal.fullmatch(path) and not zero.fullmatch(path)
        if np.abs(gradient).max() < 1e-7
    ]
    assert not idle


def test_dropout_acts_only_with_a_key_and_is_a_function_of_it(model, run):
    batch = video()

    def boxes(m, batch, key):
        return m(batch, rngs=nnx.Rngs(dropout=key)).boxes_cxcywh

    keys = (jax.random.key(seed, impl="rbg") for seed in (1, 1, 2))
    one, again, other = (apply(*model, boxes, batch, key) for key in keys)
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-4
    assert np.abs(one - run(batch).boxes_cxcywh).max() > 1e-4


def test_halves_equal_the_whole(model, run):
    batch = video()
    encoded = apply(*model, lambda m, frames: m.encode_video(frames), batch.frames)
    halves = apply(*model, lambda m, v, ids: m.ground(v, ids), encoded, batch.text_ids)
    assert_same_row(run(batch), 0, halves, 0, 9)


def test_logits_of_anchors_are_finite_at_the_border():
    x = np.array([0, 1e-4, 0.25, 0.9999, 1], np.float32)
    expected = np.log([1e-3, 1e-3 / 0.9999, 1 / 3, 0.9999 / 1e-3, 1 / 1e-3])
    np.testing.assert_allclose(clamped_logit(x), expected, rtol=1e-5)


def make_output(attention: np.ndarray) -> GroundingOutput:
    k, b, t = attention.shape[:3]
    return GroundingOutput(
        boxes_cxcywh=np.full((k, b, t, 4), 0.5, np.float32),
        start_end_logits=np.zeros((k, b, t, 2), np.float32),
        actioness_logits=np.zeros((k, b, t), np.float32),
        attention=attention,
    )


def make_targets(in_tube, frames_valid=None, rows_valid=None) -> GroundingTargets:
    in_tube = np.array(in_tube)
    nothing = np.zeros((len(in_tube), 0), np.float32)
    boxes = np.full((*in_tube.shape, 4), 0.5, np.float32)
    return GroundingTargets(in_tube, boxes, nothing, nothing, frames_valid, rows_valid)


@jax.jit
def compute_guided(output, targets) -> jax.Array:
    return STCATLossConfig().terms(output, targets)["guided_attention"]


def guided(attention, targets) -> jax.Array:
    return compute_guided(make_output(np.array(attention, np.float32)), targets)


def test_guided_attention_is_the_mean_over_frames_outside():
    weights = [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.25, 0.25, 0.5]]
    cost = [-np.log(1 - np.array(row) + 1e-6).sum() for row in weights]
    np.testing.assert_allclose(
        guided([[weights]], make_targets([[False, True, False]])), [(cost[0] + cost[2]) / 2], 1e-5
    )
    np.testing.assert_array_equal(guided([[weights]], make_targets([[True, True, True]])), [0])
    # Attention that is all on one frame costs much, but not without bound; float32 has few digits of 1 + 1e-6.
    np.testing.assert_allclose(guided([[np.eye(3)]], make_targets([[False, True, True]])), [-np.log(1e-6)], 1e-2)


def test_padding_counts_nowhere_in_guided_attention():
    weights, tube = np.array([[0.7, 0.3], [0.4, 0.6]]), [False, True]
    alone = guided(weights[None, None], make_targets([tube]))
    loud = np.full((1, 2, 3, 3), 0.9, np.float32)
    loud[0, 0, :2, :2] = weights
    targets = make_targets(
        [[*tube, False], [False, True, False]], np.array([[1, 1, 0], [1, 1, 1]], bool), np.array([True, False])
    )
    np.testing.assert_allclose(guided(loud, targets), alone, 1e-6)
