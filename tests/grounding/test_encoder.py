"""Inputs and outputs of the encoder, without any layer between them."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_jax.core.tree import unflatten
from stvg_jax.grounding.encoder import CrossModalEncoder, EncodedVideo, TransformerConfig, join_masks
from stvg_jax.grounding.types import VideoFeatures
from stvg_jax.nn.declare import PureModule, initialize
from stvg_jax.nn.positions import image_positions
from tests.tiny import apply

B, T, H, W, L, WIDTH = 2, 3, 2, 3, 4, 8
RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


APPEARANCE, MOTION, TEXT = 3 * normal(B, T, H, W, WIDTH) + 1, 2 * normal(B, T, H, W, WIDTH), normal(B, L, WIDTH)
SIZES = np.array([[2, 3], [1, 2]], np.int32)
TEXT_VALID = np.array([[True] * 4, [True, True, False, False]])


def encode(video: VideoFeatures, text_valid=None, **changes):
    config = TransformerConfig(width=WIDTH, heads=2, hidden=16, **{"encoder_layers": 0} | changes)
    module = PureModule(CrossModalEncoder(config, dtype=np.float32))
    parameters = initialize(unflatten(module.declarations), seed=0)
    return EncodedVideo(**apply(module, parameters, lambda encoder, *a: vars(encoder(*a)), video, TEXT, text_valid))


def normed(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, np.float64)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


@pytest.mark.parametrize("placed", [False, True])
def test_tokens_come_back_in_their_places(placed):
    video = VideoFeatures(APPEARANCE, MOTION, None, None)
    encoded = encode(video, placed_tokens=placed)
    positions = np.asarray(image_positions(H, W, WIDTH, None)).reshape(1, 1, H * W, WIDTH)
    for name, features in (("appearance", APPEARANCE), ("motion", MOTION)):
        tokens = features.reshape(B, T, H * W, WIDTH)
        expected = normed(normed(tokens) + positions) if placed else normed(tokens)
        np.testing.assert_allclose(getattr(encoded, name), expected, atol=2e-5, err_msg=name)
    text = np.broadcast_to(normed(TEXT)[:, None], (B, T, L, WIDTH))
    np.testing.assert_allclose(encoded.text, text, atol=2e-5)
    every = np.concatenate([encoded.appearance, encoded.text, encoded.motion], axis=2)
    np.testing.assert_allclose(encoded.frame_means, every.mean(2), atol=1e-5)
    np.testing.assert_allclose(encoded.positions, positions[0], atol=1e-6)
    assert encoded.grid_valid is None and encoded.text_valid is None and encoded.frames_valid is None


def test_means_are_over_real_tokens():
    frames_valid = np.array([[True, True, True], [True, False, False]])
    encoded = encode(VideoFeatures(APPEARANCE, MOTION, frames_valid, SIZES), TEXT_VALID)
    # One row of two columns is real in the second video.
    grid = np.array([[True] * 6, [True, True, False, False, False, False]])
    np.testing.assert_array_equal(encoded.grid_valid, grid)
    np.testing.assert_array_equal(encoded.text_valid, TEXT_VALID)
    np.testing.assert_array_equal(encoded.frames_valid, frames_valid)
    every = np.concatenate([encoded.appearance, encoded.text, encoded.motion], axis=2)
    valid = np.concatenate([grid, TEXT_VALID, grid], axis=1)
    for row in range(B):
        np.testing.assert_allclose(encoded.frame_means[row], every[row][:, valid[row]].mean(1), atol=1e-5)


@pytest.mark.parametrize("step", [4, 6])
def test_any_number_of_frames_at_once(step):
    """Six frames in all."""
    video = VideoFeatures(APPEARANCE, MOTION, None, SIZES)
    expected = encode(video, TEXT_VALID, encoder_layers=1)
    stepped = encode(video, TEXT_VALID, encoder_layers=1, frames_per_step=step)
    for name in ("appearance", "text", "motion", "frame_means"):
        np.testing.assert_allclose(getattr(stepped, name), getattr(expected, name), atol=1e-5, err_msg=name)


def test_masks_are_joined_where_there_are_any():
    assert join_masks(2, (None, 3), (None, 1)) is None
    joined = join_masks(2, (None, 2), (np.array([[True], [False]]), 1), (None, 1))
    np.testing.assert_array_equal(joined, [[True] * 4, [True, True, False, True]])
