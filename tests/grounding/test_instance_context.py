"""Pooling inside boxes against loops over cells and samples, and which frames give context."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.grounding.instance_context import ContextConfig, choose_context_frames, choose_true_frames
from stvg_jax.grounding.regions import POOLINGS, pool_regions
from stvg_jax.grounding.types import TrueTube

GRID = (5, 7)
# Inside, across two borders, without area, smaller than a cell at the far corner, the whole frame.
BOXES = np.array(
    [[0.4, 0.5, 0.3, 0.4], [0.95, 0.05, 0.4, 0.3], [0.5, 0.5, 0, 0], [0.99, 0.99, 0.01, 0.01], [0.5, 0.5, 1, 1]],
    np.float32,
)


def features(rows, columns, seed=0):
    return np.random.default_rng(seed).standard_normal((1, len(BOXES), rows, columns, 3)).astype(np.float32)


def pool(pooling, maps, sizes=None):
    tokens = jnp.asarray(maps.reshape(*maps.shape[:2], -1, maps.shape[-1]))
    return np.asarray(pool_regions(pooling, jnp.asarray(BOXES[None]), maps.shape[2:4], sizes, tokens)[0])


def cells(features, box):
    """As the released code cuts a box out of [h, w, c]."""
    h, w, _ = features.shape
    cx, cy, bw, bh = box
    x1, y1, x2, y2 = (max(v, 0) for v in (cx - bw / 2, cy - bh / 2, cx + bw / 2, cy + bh / 2))
    x2 = min(max(int(np.ceil(x2 * w)), 1), w)
    x1 = min(max(int(np.round(x1 * w)), 0), x2 - 1)
    y2 = min(max(int(np.round(y2 * h)), 1), h)
    y1 = min(max(int(np.round(y1 * h)), 0), y2 - 1)
    return features[y1:y2, x1:x2].mean((0, 1))


def samples(features, box):
    """Mean of 14 x 14 bilinear samples at the middles of even steps, cells' values being at their centres."""
    h, w, _ = features.shape
    cx, cy, bw, bh = box
    x1, y1, x2, y2 = np.clip([cx - bw / 2, cy - bh / 2, cx + bw / 2, cy + bh / 2], 0, 1)
    total = 0
    for i in range(14):
        for j in range(14):
            y = np.clip((y1 + (i + 0.5) / 14 * (y2 - y1)) * h - 0.5, 0, h - 1)
            x = np.clip((x1 + (j + 0.5) / 14 * (x2 - x1)) * w - 0.5, 0, w - 1)
            top, left = min(int(y), h - 2), min(int(x), w - 2)
            a, b = y - top, x - left
            corners = features[top : top + 2, left : left + 2]
            total = total + (1 - a) * ((1 - b) * corners[0, 0] + b * corners[0, 1])
            total = total + a * ((1 - b) * corners[1, 0] + b * corners[1, 1])
    return total / 14**2


@pytest.mark.parametrize(("pooling", "reference"), [("cells", cells), ("roi_align", samples)])
def test_pooling_equals_a_loop(pooling, reference):
    maps = features(*GRID)
    expected = [reference(maps[0, t], box) for t, box in enumerate(BOXES)]
    np.testing.assert_allclose(pool(pooling, maps)[0], expected, atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_of_the_grid_changes_nothing(pooling):
    maps = features(*GRID)
    padded = 9 * features(GRID[0] + 2, GRID[1] + 3, seed=1)
    padded[:, :, : GRID[0], : GRID[1]] = maps
    result = pool(pooling, padded, sizes=jnp.array([GRID]))
    np.testing.assert_allclose(result, pool(pooling, maps), atol=1e-6)
    assert np.isfinite(pool(pooling, padded, sizes=jnp.array([[0, 0]]))).all()


ACTIONESS = jnp.array([[2.0, 2.0, -2.0, -2.0, 2.0]])
CONFIDENCE = jnp.array([[1.8, 0.4, 1.8, 0.4, 1.8]])
VALID = jnp.array([[True, True, True, True, False]])


@pytest.mark.parametrize(
    ("refine", "expected"),
    [
        ("none", [1, 1, 1, 1, 0]),
        ("temporal", [1, 1, 0, 0, 0]),
        ("spatial", [1, 0, 1, 0, 0]),
        ("both", [1, 0, 0, 0, 0]),
        # Actioness 0.88 and 0.12; half the confidence 0.9 and 0.2.
        ("sum", [1, 1, 1, 0, 0]),
        ("product", [1, 0, 0, 0, 0]),
    ],
)
def test_frames_of_each_refinement(refine, expected):
    config = ContextConfig(refine=refine, joint_threshold=0.5)
    confidence = CONFIDENCE if config.judges_boxes else None
    assert config.judges_boxes == (refine not in ("none", "temporal"))
    chosen = choose_context_frames(config, ACTIONESS, confidence, VALID)
    np.testing.assert_array_equal(chosen[0], np.array(expected, bool))


@pytest.mark.parametrize(
    ("refine", "expected"), [("none", [1, 1, 1, 0]), ("temporal", [0, 1, 1, 0]), ("both", [0, 1, 0, 0])]
)
def test_the_truth_chooses_frames_in_training(refine, expected):
    boxes = jnp.tile(jnp.array([0.5, 0.5, 0.2, 0.2]), (1, 4, 1))
    truth = TrueTube(jnp.array([[False, True, True, False]]), boxes.at[0, 2, 0].add(0.05))
    valid = jnp.array([[True, True, True, False]])
    chosen = choose_true_frames(ContextConfig(refine=refine, truth_threshold=0.7), boxes, truth, valid)
    np.testing.assert_array_equal(chosen[0], np.array(expected, bool))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"refine": "all"}, "none, temporal, spatial, both, sum, product"),
        ({"pooling": "max"}, "cells, roi_align"),
        ({"generate": False, "guide_temporal": True}, "set generate=True"),
    ],
)
def test_wrong_switches_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ContextConfig(**wrong)
