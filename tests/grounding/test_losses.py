"""The training losses: against the released system, batched, padded and in parts."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.grounding.losses import LossConfig, absolute, cross_entropy, grounding_losses, total_loss
from stvg_jax.grounding.targets import GroundingTargets, TargetCounts
from stvg_jax.grounding.types import GroundingOutput
from tests.grounding import cases
from tests.train import golden

LAYERS, WORDS = 3, (4, 6)
# Reference name of each term; layered ones have `_0` and so on appended for the layers before the last.
LAYERED = {"box_l1": "loss_bbox", "box_giou": "loss_giou", "start_end": "loss_sted", "actioness": "loss_actioness"}
SCALAR = {
    "motion_sampling": "logits_f_m",
    "appearance_sampling": "logits_f_a",
    "motion_attributes": "logits_r_m",
    "appearance_attributes": "logits_r_a",
}


# Compiled: operations one by one take longer, at every new shape.
compute = jax.jit(grounding_losses, static_argnames="config")


def golden_output(golden: dict[str, np.ndarray]) -> GroundingOutput:
    def layers(name: str) -> np.ndarray:
        return np.stack([*(golden[f"aux{k}.{name}"] for k in range(5)), golden[name]])

    return GroundingOutput(
        boxes_cxcywh=layers("pred_boxes")[:, None],
        start_end_logits=layers("pred_sted"),
        actioness_logits=layers("pred_actioness")[..., 0],
        motion_sampling_logits=golden["logits_f_m"][None],
        appearance_sampling_logits=golden["logits_f_a"][None],
        appearance_attribute_logits=golden["logits_r_a"],
        motion_attribute_logits=golden["logits_r_m"],
    )


def test_every_term_equals_the_released_system():
    """From the released system's own outputs, so that the tolerance is that of the losses alone."""
    case = cases.load("tastvg_losses_t12_96x160")
    terms = compute(golden_output(case.golden), golden.targets(case.meta, case.golden["target_boxes"]))
    assert set(terms) == {*LAYERED, *SCALAR}
    for name, reference in LAYERED.items():
        expected = [case.golden[f"loss.{reference}{suffix}"] for suffix in ("_0", "_1", "_2", "_3", "_4", "")]
        np.testing.assert_allclose(terms[name], expected, rtol=0, atol=1e-6, err_msg=name)
    for name, reference in SCALAR.items():
        np.testing.assert_allclose(terms[name], case.golden[f"loss.{reference}"], rtol=0, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(total_loss(terms, LossConfig()), case.golden["total_loss"], rtol=1e-6)


def video(seed: int, t: int) -> tuple[GroundingOutput, GroundingTargets]:
    """Random predictions and targets of one video of t frames, float32, without padding."""
    rng = np.random.default_rng(seed)
    first, last = sorted(rng.integers(0, t, 2))
    in_tube = (np.arange(t) >= first) & (np.arange(t) <= last)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    output = GroundingOutput(
        boxes_cxcywh=rng.uniform(0.2, 0.6, (LAYERS, 1, t, 4)).astype(np.float32),
        start_end_logits=normal(LAYERS, 1, t, 2),
        actioness_logits=normal(LAYERS, 1, t),
        motion_sampling_logits=normal(1, t),
        appearance_sampling_logits=normal(1, t),
        appearance_attribute_logits=normal(1, WORDS[0]),
        motion_attribute_logits=normal(1, WORDS[1]),
    )
    targets = GroundingTargets(
        in_tube=in_tube[None],
        boxes_cxcywh=np.where(in_tube[:, None], rng.uniform(0.2, 0.6, (t, 4)), 0).astype(np.float32)[None],
        appearance_labels=rng.integers(0, 2, (1, WORDS[0])).astype(np.float32),
        motion_labels=rng.integers(0, 2, (1, WORDS[1])).astype(np.float32),
    )
    return output, targets


def batch(videos: list[tuple[GroundingOutput, GroundingTargets]], t: int, filling: int = 0):
    """Videos padded to t frames, and rows that fill up the batch. The padding of predictions is loud."""
    rng = np.random.default_rng(1)
    lengths = [targets.in_tube.shape[1] for _, targets in videos] + [0] * filling

    def pad(arrays: list[np.ndarray], rows: int, frames: int | None, noise: bool) -> np.ndarray:
        shape = list(arrays[0].shape)
        shape[rows] = len(lengths)
        if frames is not None:
            shape[frames] = t
        out = 9 * rng.standard_normal(shape) if noise else np.zeros(shape)
        out = out.astype(arrays[0].dtype)
        for row, array in enumerate(arrays):
            index = [slice(None)] * len(shape)
            index[rows] = slice(row, row + 1)
            if frames is not None:
                index[frames] = slice(0, array.shape[frames])
            out[tuple(index)] = array
        return out

    def field(part: int, name: str, rows: int, frames: int | None) -> np.ndarray:
        return pad([getattr(pair[part], name) for pair in videos], rows, frames, noise=part == 0)

    layered = ("boxes_cxcywh", "start_end_logits", "actioness_logits")
    output = GroundingOutput(
        **{name: field(0, name, 1, 2) for name in layered},
        **{f"{stream}_sampling_logits": field(0, f"{stream}_sampling_logits", 0, 1) for stream in STREAMS},
        **{f"{stream}_attribute_logits": field(0, f"{stream}_attribute_logits", 0, None) for stream in STREAMS},
    )
    targets = GroundingTargets(
        **{name: field(1, name, 0, 1) for name in ("in_tube", "boxes_cxcywh")},
        **{f"{stream}_labels": field(1, f"{stream}_labels", 0, None) for stream in STREAMS},
        frames_valid=np.arange(t) < np.array(lengths)[:, None],
        rows_valid=np.array(lengths) > 0,
    )
    return output, targets


STREAMS = ("motion", "appearance")


def assert_equal_terms(ours, theirs):
    assert set(ours) == set(theirs)
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=2e-5, atol=1e-6, err_msg=name)


def test_a_padded_batch_is_many_devices_with_one_video_each():
    """As the released system on three devices: the mean of their losses, box terms over the mean number of boxes."""
    videos = [video(seed, t) for seed, t in ((1, 5), (2, 9), (3, 7))]
    boxes = np.mean([targets.in_tube.sum() for _, targets in videos])
    alone = [compute(*one, counts=TargetCounts(videos=jnp.array(1.0), boxes=jnp.asarray(boxes))) for one in videos]
    expected = jax.tree.map(lambda *terms: np.mean(terms, axis=0), *alone)
    assert_equal_terms(compute(*batch(videos, t=9)), expected)
    assert_equal_terms(compute(*batch(videos, t=13, filling=2)), expected)


def test_parts_with_the_counts_of_the_whole_add_up():
    videos = [video(seed, t) for seed, t in ((4, 6), (5, 4), (6, 8), (7, 8))]
    whole = batch(videos, t=8)
    counts = TargetCounts.of(whole[1])
    halves = [batch(videos[i : i + 2], t=8) for i in (0, 2)]
    together = compute(*whole)
    assert_equal_terms(jax.tree.map(jnp.add, *(compute(*half, counts=counts) for half in halves)), together)
    # Halves that know nothing of each other give something else: their tubes differ in length.
    apart = jax.tree.map(lambda *terms: sum(terms) / 2, *(compute(*half) for half in halves))
    assert abs(float(apart["box_l1"][0] - together["box_l1"][0])) > 1e-3


def test_padding_gets_no_gradient_and_no_gradient_is_nan():
    output, targets = batch([video(8, 5), video(9, 7)], t=10, filling=1)

    def loss(output):
        return total_loss(compute(output, targets), LossConfig())

    gradient = jax.grad(loss)(jax.tree.map(jnp.asarray, output))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    padding = ~targets.frames_valid
    for name in ("boxes_cxcywh", "start_end_logits", "actioness_logits"):
        values = np.asarray(getattr(gradient, name))
        assert not values[:, padding].any(), name
        assert values[:, targets.in_tube].any(), name
    for stream in STREAMS:
        assert not np.asarray(getattr(gradient, f"{stream}_sampling_logits"))[padding].any()
        assert not np.asarray(getattr(gradient, f"{stream}_attribute_logits"))[2].any()
    assert not np.asarray(gradient.boxes_cxcywh)[:, ~targets.in_tube].any()


def test_exact_boxes_and_an_empty_batch_cost_nothing():
    output, targets = video(10, 6)
    exact = dataclasses.replace(output, boxes_cxcywh=np.repeat(targets.boxes_cxcywh[None], LAYERS, 0))
    terms = compute(exact, targets)
    np.testing.assert_allclose(terms["box_l1"], 0)
    np.testing.assert_allclose(terms["box_giou"], 0, atol=1e-6)
    nothing = dataclasses.replace(targets, rows_valid=np.array([False]))
    assert float(total_loss(compute(output, nothing), LossConfig())) == 0


def test_gradients_where_a_derivative_is_in_doubt():
    """PyTorch's values: L1 stands still at equality; cross-entropy is smooth, however large its logit."""
    output, targets = video(10, 6)
    exact = np.repeat(targets.boxes_cxcywh[None], LAYERS, 0)
    beside = exact + np.float32([0.25, -0.25, 0, 0.25])

    def box_l1(boxes):
        return compute(dataclasses.replace(output, boxes_cxcywh=boxes), targets)["box_l1"].sum()

    inside = targets.in_tube[0]
    for boxes, expected in ((exact, [0, 0, 0, 0]), (beside, [1, -1, 0, 1])):
        gradient = np.asarray(jax.grad(box_l1)(jnp.asarray(boxes)))[:, 0] * inside.sum()
        np.testing.assert_allclose(gradient[:, inside], np.broadcast_to(expected, gradient[:, inside].shape), atol=1e-6)
        assert not gradient[:, ~inside].any()
    logits, labels = jnp.array([0.0, 100, -100, 200, -200]), jnp.array([0.3, 0.3, 0.3, 1, 0])
    gradient = jax.grad(lambda x: cross_entropy(x, labels).sum())(logits)
    np.testing.assert_allclose(gradient, [0.2, 0.7, -0.3, 0, 0], atol=1e-7)
    np.testing.assert_array_equal(
        jax.grad(lambda x: absolute(x).sum())(jnp.array([-2.0, -0.0, 0.0, 2.0])), [-1, 0, 0, 1]
    )


def test_terms_follow_the_predictions_that_a_model_makes():
    output, targets = video(11, 6)
    plain = dataclasses.replace(
        output, **{f"{s}_{kind}_logits": None for s in STREAMS for kind in ("sampling", "attribute")}
    )
    assert set(compute(plain, targets)) == set(LAYERED)


def test_weights_and_shape_of_the_terms():
    output, targets = video(12, 8)
    terms = compute(output, targets)
    only = dataclasses.replace(LossConfig(), **dict.fromkeys(terms, 0.0))
    for name, value in terms.items():
        weighted = dataclasses.replace(only, **{name: 3.0})
        np.testing.assert_allclose(total_loss(terms, weighted), 3 * value.sum(), rtol=1e-6)
    assert (compute(output, targets, config=LossConfig(outside_weight=1.0))["actioness"] > terms["actioness"]).all()
    wider = compute(output, targets, config=LossConfig(sigma=8.0))
    assert not np.allclose(wider["start_end"], terms["start_end"])
    with pytest.raises(ValueError, match="sigma"):
        LossConfig(sigma=0.0)
