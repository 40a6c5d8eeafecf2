"""A task and the first half of a model, with parts that only record their inputs."""

from __future__ import annotations

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.grounding.ta_stvg import TASTVGConfig
from stvg_jax.grounding.targets import GroundingTargets
from stvg_jax.grounding.task import GroundingTask, learning_rate_rules
from stvg_jax.grounding.types import GroundingOutput
from stvg_jax.nn.declare import PureModule
from stvg_jax.nn.keys import DropoutKeys
from stvg_jax.train.optim import assign_groups
from tests.tiny import tiny

B, T, H, W = 2, 3, 64, 96
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def training_batch() -> dict[str, np.ndarray]:
    """As the loader makes it; the second row only fills it up."""
    rng = np.random.default_rng(0)
    return {
        "frames": rng.integers(0, 256, (B, T, H, W, 3), dtype=np.uint8),
        "frames_valid": np.array([[True, True, True], [True, False, False]]),
        "sizes": np.array([[64, 96], [40, 70]], np.int32),
        "text_ids": np.array([[5, 6], [7, 1]], np.int32),
        "text_valid": np.array([[True, True], [True, False]]),
        "sample": np.array([4, -1], np.int32),
        "in_tube": np.array([[False, True, True], [True, False, False]]),
        "boxes_cxcywh": np.full((B, T, 4), 0.5, np.float32),
        "appearance_labels": np.ones((B, 2), np.float32),
        "motion_labels": np.zeros((B, 3), np.float32),
    }


class Parts(PureModule):
    """A model that answers the same whatever it sees, and what it was called with."""

    def __init__(self):
        self.called, self.answer = [], types.SimpleNamespace(uses={"context": jnp.array([True, True])})

    def apply(self, parameters, call):
        self.called.append(parameters)
        return call(self)

    def predict_to_train(self, batch, truth, *, rngs):
        self.called += [batch, truth, rngs]
        return self.answer


def test_a_batch_becomes_inputs_targets_and_counts():
    batch = {name: jnp.asarray(value) for name, value in training_batch().items()}
    task = GroundingTask(Parts())
    inputs, targets = task.prepare(batch)
    np.testing.assert_allclose(inputs.frames, (batch["frames"] / 255 - MEAN) / STD, atol=1e-5)
    assert inputs.frames.dtype == jnp.float32
    for name in ("text_ids", "text_valid", "frames_valid", "sizes"):
        assert getattr(inputs, name) is batch[name]
    for name in ("in_tube", "boxes_cxcywh", "appearance_labels", "motion_labels", "frames_valid"):
        assert getattr(targets, name) is batch[name]
    assert targets.rows_valid.tolist() == [True, False]
    counts = task.count(batch)
    assert (float(counts.videos), float(counts.boxes)) == (1, 2)
    first = {name: value for name, value in batch.items()} | {"sample": jnp.array([0, 3])}
    assert task.prepare(first)[1].rows_valid.tolist() == [True, True]
    assert (float(task.count(first).videos), float(task.count(first).boxes)) == (2, 3)


class Terms:
    """Two terms of a loss, the first of two layers, and their weights."""

    near, far = 2.0, 3.0

    def terms(self, output, targets, counts):
        self.called = output, targets, counts
        return {"near": jnp.array([1.0, 4.0]), "far": jnp.array(7.0)}


@pytest.mark.parametrize("key", [None, jax.random.key(3)])
def test_the_loss_is_the_weighted_sum_of_what_the_model_is_told(key):
    module, losses = Parts(), Terms()
    inputs, targets = GroundingTask(module).prepare({name: jnp.asarray(v) for name, v in training_batch().items()})
    total, (terms, uses) = GroundingTask(module, losses).loss({"p": 1}, inputs, targets, "counts", key)
    parameters, batch, truth, rngs = module.called
    assert parameters == {"p": 1} and batch is inputs
    assert truth.in_tube is targets.in_tube and truth.boxes_cxcywh is targets.boxes_cxcywh
    assert rngs is None if key is None else isinstance(rngs, DropoutKeys)
    assert losses.called == (module.answer, targets, "counts")
    assert float(total) == 2 * (1 + 4) + 3 * 7
    assert {name: value.tolist() for name, value in terms.items()} == {"near": [1, 4], "far": 7}
    # Of two videos that used it one fills up the batch.
    assert {use: int(count) for use, count in uses.items()} == {"context": 1}


def test_boxes_outside_the_tube_are_finite():
    targets = GroundingTargets(
        np.array([[True, False]]), np.array([[[0.1, 0.2, 0.3, 0.4], [np.nan] * 4]]), np.zeros((1, 0)), np.zeros((1, 0))
    )
    np.testing.assert_allclose(targets.true_tube.finite_boxes, [[[0.1, 0.2, 0.3, 0.4], [0.5] * 4]])


def test_a_row_of_predictions_has_no_batch_axis():
    rng = np.random.default_rng(0)
    output = GroundingOutput(
        boxes_cxcywh=rng.random((2, 3, 5, 4)),
        start_end_logits=rng.random((2, 3, 5, 2)),
        actioness_logits=rng.random((2, 3, 5)),
        sampling_score=rng.random((3, 5)),
        motion_attribute_logits=rng.random((3, 7)),
        confidences=rng.random((2, 3, 5)),
    )
    row = output.row(1)
    for name in ("boxes_cxcywh", "start_end_logits", "actioness_logits", "confidences"):
        np.testing.assert_array_equal(getattr(row, name), getattr(output, name)[:, 1])
    for name in ("sampling_score", "motion_attribute_logits"):
        np.testing.assert_array_equal(getattr(row, name), getattr(output, name)[1])
    assert row.appearance_attribute_logits is None


@pytest.mark.parametrize(
    ("frames_valid", "sizes", "clips", "grid"),
    [
        (None, None, None, None),
        ([[True, True, True], [True, False, False]], None, [[3, 64, 96], [1, 64, 96]], None),
        (None, [[64, 96], [33, 65]], [[3, 64, 96], [3, 33, 65]], [[2, 3], [2, 3]]),
        ([[True, True, False], [True, True, True]], [[64, 64], [1, 32]], [[2, 64, 64], [3, 1, 32]], [[2, 2], [1, 1]]),
    ],
)
def test_each_backbone_is_told_what_is_real(frames_valid, sizes, clips, grid):
    """The video backbone frames, rows and columns of each clip, the image backbone rows and columns of each frame."""
    told = {}

    def resnet(images, sizes):
        told["images"], told["image_sizes"] = images, sizes
        return images[:, ::32, ::32].sum(-1, keepdims=True) * jnp.ones(widths["appearance"])

    def swin(frames, sizes, *, rngs):
        told["clips"], told["rngs"] = sizes, rngs
        return frames[:, :, ::32, ::32].sum(-1, keepdims=True) * jnp.ones(widths["motion"])

    module, parameters = tiny()
    widths = {name: module.declarations[f"{name}_projection/kernel"].shape[0] for name in ("appearance", "motion")}
    frames = np.random.default_rng(0).standard_normal((B, T, H, W, 3)).astype(np.float32)
    given = [None if value is None else jnp.array(value) for value in (frames_valid, sizes)]

    def encode(m):
        m.resnet, m.swin = resnet, swin
        return m.encode_video(jnp.asarray(frames), *given)

    video = module.apply(parameters, encode)
    np.testing.assert_array_equal(told["images"], frames.reshape(B * T, H, W, 3))
    assert video.appearance.shape == video.motion.shape == (B, T, 2, 3, 32)
    assert told["rngs"] is None
    assert (None if told["clips"] is None else told["clips"].tolist()) == clips
    expected = None if sizes is None else [size for size in sizes for _ in range(T)]
    assert (None if told["image_sizes"] is None else told["image_sizes"].tolist()) == expected
    assert (None if video.sizes is None else video.sizes.tolist()) == grid
    assert video.frames_valid is given[0]


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_video_backbone_learns_nothing(frozen):
    module, parameters = tiny(frozen_backbones=frozen)
    width = module.declarations["motion_projection/kernel"].shape[0]

    def encode(m):
        m.swin = lambda frames, sizes, *, rngs: frames[..., :1] * jnp.ones(width)
        return jax.value_and_grad(lambda frames: m.encode_motion(frames).sum())(jnp.ones((1, 1, 2, 2, 3)))

    motion, gradient = module.apply(parameters, encode)
    assert motion != 0
    assert np.any(gradient) != frozen


@pytest.mark.parametrize("frozen", [True, False])
def test_groups_of_learning_rates(frozen):
    groups = assign_groups(tiny()[0].declarations, learning_rate_rules(TASTVGConfig(frozen_backbones=frozen)))
    expected = {
        "resnet/stages/0/0/conv1/kernel": "frozen" if frozen else "image_backbone",
        "resnet/stages/1/0/conv1/kernel": "image_backbone",
        "resnet/stages/1/0/conv1/scale": "frozen" if frozen else "image_backbone",
        "resnet/stages/1/0/conv1/mean": "frozen",
        "resnet/stages/1/0/conv1/var": "frozen",
        "roberta/embeddings/norm/scale": "text",
        "text_projection/fc/kernel": "text",
        "temporal_decoder/norm/scale": "temporal_decoder",
        "spatial_decoder/layers/0/self_norm/scale": "base",
        "target_queries/motion_sampling/head/decoder/bias": "target_queries",
        "encoder/norm/bias": "base",
        "box_head/layers/0/kernel": "base",
    }
    assert {path: groups[path] for path in expected} == expected
    stem = {group for path, group in groups.items() if path.startswith("resnet/stem/") and path.endswith("/kernel")}
    assert stem == {"frozen" if frozen else "image_backbone"}
    assert {g for path, g in groups.items() if path.startswith("swin/")} == {"frozen" if frozen else "base"}
