"""The model's switches, its batching and what its parameters do, on a tiny model."""

from __future__ import annotations

import re

import jax
import numpy as np
import pytest
from flax import nnx

from stvg_jax.core.config import build
from stvg_jax.core.errors import InputError
from stvg_jax.core.tree import flatten
from stvg_jax.grounding.query_config import QUERY_KINDS
from stvg_jax.grounding.ta_stvg import TASTVGConfig
from tests.grounding.batches import assert_same_row, make_batch, padded, with_empty_row
from tests.tiny import apply, forward, thin, tiny, tiny_config, tiny_model_config, two_stages


@pytest.mark.parametrize("kind", QUERY_KINDS)
def test_query_kinds_have_only_the_parts_they_use(kind):
    module, parameters = tiny(queries=kind, second_pass=kind != "zero", **thin())
    output = forward(module, parameters, make_batch(h=18, w=26))
    parts = {path.split("/")[1] for path in module.declarations if path.startswith("target_queries/")}
    assert any("sampling" in p for p in parts) == (kind in ("sampling", "both"))
    assert any("activation" in p for p in parts) == (kind in ("activation", "both"))
    assert (output.sampling_score is not None) == (kind in ("sampling", "both"))
    assert (output.motion_attribute_logits is not None) == (kind in ("activation", "both"))
    assert np.isfinite(output.boxes_cxcywh).all()


def test_theta_and_second_pass_change_the_answer():
    batch = make_batch(h=18, w=26)

    def run(**changes):
        return forward(*tiny(second_pass=False, **thin(), **changes), batch)

    base = run(sampling_threshold=0.0)
    theta = float(np.median(base.sampling_score[0]))
    split = run(sampling_threshold=theta).boxes_cxcywh
    none_chosen = run(sampling_threshold=1.0).boxes_cxcywh
    assert np.abs(base.boxes_cxcywh - split).max() > 1e-6
    np.testing.assert_array_equal(base.boxes_cxcywh, none_chosen)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("queries", "all", "zero, sampling, activation, both"),
        ("queries", "zero", "second_pass=False"),
        ("querys", "zero", "config.model.querys is unknown"),
        ("motion_words", "60", "must be a whole number"),
    ],
)
def test_wrong_configuration_is_refused(key, value, message):
    config = tiny_config(64)["model"] | {key: value}
    with pytest.raises(InputError, match=message):
        build(TASTVGConfig, config, "config.model")


@pytest.fixture(scope="module")
def bucket():
    """(module, parameters, videos of different sizes alone, all in one padded batch)."""
    shapes = [(9, 70, 100, 6), (1, 33, 64, 3)]
    batches = [make_batch(*shape, seed=i) for i, shape in enumerate(shapes)]
    return *tiny(sampling_threshold=0.5, **two_stages()), batches, padded(batches, t=10, h=100, w=134, l=8)


def test_batch_and_bucket_change_nothing(bucket):
    module, parameters, batches, together = bucket
    output = forward(module, parameters, together)
    for i, batch in enumerate(batches):
        alone = forward(module, parameters, batch)
        assert_same_row(alone, 0, output, i, batch.frames.shape[1])


def test_a_row_of_nothing_but_padding_stays_finite_and_harmless(bucket):
    module, parameters, _, together = bucket
    full, partly = (forward(module, parameters, b) for b in (together, with_empty_row(together, 1)))
    assert_same_row(full, 0, partly, 0, 9)
    assert np.isfinite(partly.boxes_cxcywh).all()


@pytest.mark.slow
def test_stepwise_memory_options_change_nothing():
    batch = make_batch(b=2)
    plain = forward(*tiny(), batch)
    model = tiny_model_config()
    stepped = forward(
        *tiny(
            resnet=model["resnet"] | {"images_per_step": 4},
            swin=model["swin"] | {"windows_per_step": 3},
            transformer=model["transformer"] | {"frames_per_step": 5},
        ),
        batch,
    )
    assert_same_row(plain, 0, stepped, 0, 9)
    assert_same_row(plain, 1, stepped, 1, 9)


def test_every_parameter_acts():
    """Each parameter has a gradient from some output; the reference carries ten million that never do."""
    module, parameters = tiny(sampling_threshold=0.5, **two_stages())
    # Fresh biases are zero, and four ReLUs of the anchor head can all be dead by chance.
    parameters["anchor_head"]["dense"]["bias"] += 1
    batch = make_batch(t=10, h=35, w=42)

    def mixed_outputs(p, batch):
        out = jax.tree.leaves(module.apply(p, lambda m: m(batch, second_pass=False)))
        rng = np.random.default_rng(0)
        return sum((leaf * rng.standard_normal(leaf.shape)).sum() for leaf in out)

    gradients = flatten(jax.device_get(jax.jit(jax.grad(mixed_outputs))(parameters, batch)))
    # Softmax ignores what is added to all its inputs, so the bias of a key acts nowhere, in any transformer. The
    # motion backbone is frozen: see the next test. In the first decoder layers all queries have the same content,
    # so self-attention mixes equal values: its weights matter only to their dropout, while training.
    cancels = ("/key/bias", "sa_kcontent_proj/bias", "sa_kpos_proj/bias", "sa_ktime_proj/bias")
    cancels += ("ca_kcontent_proj/bias", "ca_kpos_proj/bias")
    equal = re.compile("(spatial|temporal)_decoder/layers/0/(self_attn/(query|key)|sa_[qk](content|pos|time)_proj)/.*")
    idle = [
        path
        for path, gradient in gradients.items()
        if not path.endswith(cancels) and not path.startswith("swin/") and not equal.fullmatch(path)
        if np.abs(gradient).max() < 1e-7
    ]
    assert not idle


def test_motion_backbone_is_frozen_but_acts():
    module, parameters = tiny(second_pass=False, **thin())
    batch = make_batch(h=18, w=26)

    @jax.jit
    @jax.value_and_grad
    def total(swin, parameters, batch):
        return module.apply(parameters | {"swin": swin}, lambda m: m(batch)).start_end_logits.sum()

    value, gradients = jax.device_get(total(parameters["swin"], parameters, batch))
    assert all(not np.any(g) for g in jax.tree.leaves(gradients))
    moved = jax.tree.map(lambda x: x + 0.1 * np.ones_like(x), parameters["swin"])
    assert abs(float(total(moved, parameters, batch)[0]) - value) > 1e-4


@pytest.mark.slow
def test_dropout_acts_only_with_a_key_and_is_a_function_of_it():
    """Among the quick tests is that of a row that has dropout of its own (`test_gradients.py`)."""
    module, parameters = tiny(**thin())
    batch = make_batch()

    def boxes(m, batch, key):
        return m(batch, second_pass=False, rngs=nnx.Rngs(dropout=key)).boxes_cxcywh

    plain = apply(module, parameters, lambda m, b: m(b, second_pass=False), batch).boxes_cxcywh
    keys = (jax.random.key(seed, impl="rbg") for seed in (1, 1, 2))
    one, again, other = (apply(module, parameters, boxes, batch, key) for key in keys)
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-4
    assert np.abs(one - plain).max() > 1e-4


def test_halves_equal_the_whole():
    """Features computed once serve any sentence."""
    module, parameters = tiny(**thin())
    batch = make_batch(h=18, w=26)
    whole = forward(module, parameters, batch)
    video = apply(module, parameters, lambda m, frames: m.encode_video(frames), batch.frames)
    halves = apply(module, parameters, lambda m, v, ids: m.ground(v, ids), video, batch.text_ids)
    assert_same_row(whole, 0, halves, 0, 9)
