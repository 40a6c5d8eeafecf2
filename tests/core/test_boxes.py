"""Box geometry on numpy and JAX arrays."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.core.boxes import cxcywh_to_xyxy, giou, iou, xyxy_to_cxcywh

MODULES = pytest.mark.parametrize("xp", [np, jnp], ids=["numpy", "jax"])


@MODULES
def test_formats(xp):
    cxcywh = xp.asarray([[0.5, 0.4, 0.2, 0.6], [0.1, 0.2, 0.0, 0.1]], dtype=xp.float32)
    xyxy = cxcywh_to_xyxy(cxcywh)
    np.testing.assert_allclose(xyxy, [[0.4, 0.1, 0.6, 0.7], [0.1, 0.15, 0.1, 0.25]], atol=1e-6)
    np.testing.assert_allclose(xyxy_to_cxcywh(xyxy), cxcywh, atol=1e-6)


@MODULES
@pytest.mark.parametrize(
    ("a", "b", "overlap", "generalised"),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1.0, 1.0),
        ([0, 0, 2, 2], [1, 1, 3, 3], 1 / 7, 1 / 7 - 2 / 9),
        ([0, 0, 1, 1], [2, 0, 3, 1], 0.0, -1 / 3),
        ([0, 0, 4, 2], [1, 0, 2, 2], 0.25, 0.25),
        ([1, 1, 1, 1], [1, 1, 1, 1], 0.0, 0.0),
        ([0, 0, 1, 1], [3, 3, 3, 3], 0.0, -8 / 9),
    ],
    ids=["equal", "corner", "apart", "inside", "both empty", "one empty"],
)
def test_overlap_by_hand(xp, a, b, overlap, generalised):
    a, b = xp.asarray(a, dtype=xp.float32), xp.asarray(b, dtype=xp.float32)
    for one, two in ((a, b), (b, a)):
        np.testing.assert_allclose(iou(one, two), overlap, atol=1e-6)
        np.testing.assert_allclose(giou(one, two), generalised, atol=1e-6)


def test_overlap_keeps_leading_axes():
    rng = np.random.default_rng(0)
    corners = np.sort(rng.random((2, 3, 5, 2, 2)), axis=-2).reshape(2, 3, 5, 4)
    a, b = corners
    each = [[float(giou(a[i, j], b[i, j])) for j in range(5)] for i in range(3)]
    np.testing.assert_allclose(giou(a, b), each)
    assert iou(a, b).shape == (3, 5)


def test_gradients_of_boxes_without_area_are_finite():
    empty = jnp.array([0.5, 0.5, 0.5, 0.5])
    assert np.isfinite(jax.grad(giou)(empty, empty)).all()
    assert np.isfinite(jax.grad(giou)(empty, jnp.array([0.0, 0.0, 1.0, 1.0]))).all()


# Predicted and true box (centre, size), and what PyTorch 2.13 gives for the gradients of the released systems' GIoU and
# IoU with respect to the predicted one. Sides that are equal share a gradient, and boxes that touch overlap.
TIES = {
    "equal": ([0.5, 0.5, 0.25, 0.25], [0.5, 0.5, 0.25, 0.25], [0, 0, 0, 0], [0, 0, 0, 0]),
    "sides touch": ([0.25, 0.5, 0.25, 0.25], [0.5, 0.5, 0.25, 0.25], [2, 0, 1, 0], [2, 0, 1, 0]),
    "corners touch": ([0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.25, 0.25], [1, 1, 0.5, 0.5], [0, 0, 0, 0]),
    "a common edge": (
        [0.5, 0.5, 0.5, 0.5],
        [0.375, 0.5, 0.25, 0.25],
        [-1.125, 0, 0.0625, -0.5],
        [-0.625, 0, -0.1875, -0.5],
    ),
    "no width": ([0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.0, 0.25], [0, 0, 0, 0], [0, 0, 0, 0]),
    "no area": ([0.5, 0.5, 0.5, 0.5], [0.75, 0.75, 0.0, 0.0], [1, 1, 0.5, 0.5], [0, 0, 0, 0]),
    "same centre": (
        [0.5, 0.5, 0.25, 0.5],
        [0.5, 0.5, 0.5, 0.25],
        [0, 0, 1.888889, -0.944444],
        [0, 0, 0.888889, -0.444444],
    ),
}


@pytest.mark.parametrize("case", TIES)
def test_gradients_where_a_side_is_in_doubt(case):
    predicted, true, of_giou, of_iou = (jnp.array(value, jnp.float32) for value in TIES[case])
    for measure, expected in ((giou, of_giou), (iou, of_iou)):
        gradient = jax.grad(lambda box, f=measure: f(cxcywh_to_xyxy(box), cxcywh_to_xyxy(true)))(predicted)
        np.testing.assert_allclose(gradient, expected, atol=1e-5)
