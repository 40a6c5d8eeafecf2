"""The small dual encoder: padding and batches change nothing, features stand for frames, and it learns."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from stvg_jax.backbones.resnet import ResNetConfig
from stvg_jax.backbones.roberta import RobertaConfig
from stvg_jax.backbones.video_swin import VideoSwinConfig
from stvg_jax.core.pixels import imagenet_from_clip, normalize, normalize_as_clip
from stvg_jax.core.tree import unflatten
from stvg_jax.nn.declare import PureModule, initialize
from stvg_jax.retrieval.dual_encoder import FAMILY, DualEncoder, DualEncoderConfig, DualEncoderLossConfig
from stvg_jax.retrieval.task import RetrievalTask
from stvg_jax.train.optim import assign_groups
from stvg_jax.train.task import whole_loss

CONFIG = DualEncoderConfig(
    resnet=ResNetConfig(blocks=(1, 1), width=4),
    swin=VideoSwinConfig(width=8, depths=(1,), heads=(2,), window=(2, 2, 2), patch=8, mlp_ratio=1, drop_path=0.0),
    projection=8,
    roberta=RobertaConfig(vocab_size=24, width=8, layers=1, heads=2, hidden=8, positions=16, dropout_rate=0.0),
    width=8,
    units=16,
    embedding=12,
    max_tokens=10,
)
MODULE = PureModule(DualEncoder(CONFIG))


@pytest.fixture(scope="module")
def parameters():
    return initialize(unflatten(MODULE.declarations), seed=0)


def batch(rows: int) -> dict[str, jax.Array]:
    """Pairs whose videos differ in colour and whose captions differ in words."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 200, (rows, 1, 1, 1, 3)) + rng.integers(0, 50, (rows, 4, 16, 24, 3))
    return {
        "frames": jnp.asarray(frames, jnp.uint8),
        "text_ids": jnp.asarray(rng.integers(3, 19, (rows, 6)), jnp.int32),
        "text_valid": jnp.asarray(np.arange(6) < rng.integers(3, 7, rows)[:, None]),
        "sample": jnp.arange(rows, dtype=jnp.int32),
    }


def test_pixels_are_those_of_imagenet():
    frames = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype(np.uint8)
    expected = normalize(frames.astype(np.float32) / 255)
    np.testing.assert_allclose(imagenet_from_clip(normalize_as_clip(frames)), expected, atol=1e-6)


def test_embeddings_have_unit_length_and_do_not_depend_on_the_batch(parameters):
    rows = batch(5)

    def encode(model, rows):
        features = model.video_features(normalize_as_clip(rows["frames"]))
        videos = model.encode_features(features).embeddings
        return videos, model.encode_texts(rows["text_ids"], rows["text_valid"]).embeddings

    run = jax.jit(lambda p, rows: MODULE.apply(p, lambda model: encode(model, rows)))
    videos, texts = run(parameters, rows)
    assert videos.shape == (5, 1, 12) and texts.shape == (5, 12)
    np.testing.assert_allclose(jnp.linalg.norm(videos, axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(jnp.linalg.norm(texts, axis=-1), 1, rtol=1e-6)
    padded = {
        "frames": rows["frames"][3:4],
        "text_ids": jnp.pad(rows["text_ids"][3:4], ((0, 0), (0, 4)), constant_values=7),
        "text_valid": jnp.pad(rows["text_valid"][3:4], ((0, 0), (0, 4))),
    }
    alone = run(parameters, padded)
    np.testing.assert_allclose(alone[0][0], videos[3], atol=1e-6)
    np.testing.assert_allclose(alone[1][0], texts[3], atol=1e-6)


@pytest.mark.slow
def test_it_learns_whose_caption_is_whose_from_features(parameters):
    """Their first loss is that of frames, but for the rounding to float16."""
    task, rows = RetrievalTask(MODULE, DualEncoderLossConfig()), batch(4)
    features = MODULE.apply(parameters, lambda model: model.video_features(normalize_as_clip(rows["frames"])))
    assert features.shape == (4, 2, 2, 3, 16)
    kept = {name: value for name, value in rows.items() if name != "frames"} | {"features": features.astype("float16")}
    optimizer = optax.adam(3e-3)

    @jax.jit
    def step(parameters, moments):
        (value, _), gradient = jax.value_and_grad(lambda p: whole_loss(task, p, kept, None), has_aux=True)(parameters)
        updates, moments = optimizer.update(gradient, moments)
        return optax.apply_updates(parameters, updates), moments, value

    now, moments, first = step(parameters, optimizer.init(parameters))
    of_frames, (terms, _) = jax.jit(lambda p: whole_loss(task, p, rows, None))(parameters)
    np.testing.assert_allclose(first, of_frames, rtol=2e-3)
    assert terms.keys() == {"contrastive"}
    for _ in range(80):
        now, moments, loss = step(now, moments)
    assert loss < 0.3 * first


def test_the_backbones_are_not_trained():
    groups = assign_groups(MODULE.declarations, FAMILY.groups(CONFIG))
    assert {path.split("/")[0] for path, group in groups.items() if group == "frozen"} == {
        *("resnet", "swin", "appearance_projection", "motion_projection")
    }
    assert {path.split("/")[0] for path, group in groups.items() if group == "text"} == {"roberta"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"swin": VideoSwinConfig()}, "features of resnet lie 8 pixels apart, those of swin 32"),
        ({"projection": 6}, "projection is 6; it must be a multiple of 4"),
        ({"time_stride": 0}, "time_stride is 0; it must be at least 1"),
        ({"max_tokens": 15}, "max_tokens is 15; roberta.positions is 16, enough for 14"),
    ],
)
def test_settings_that_do_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(CONFIG, **change)
