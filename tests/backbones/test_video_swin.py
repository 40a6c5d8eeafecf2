"""Video Swin on padded videos: each sample must see exactly the windows it would see alone."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np
import pytest

from stvg_jax.backbones.video_swin import PatchEmbed, VideoSwin, VideoSwinConfig, relative_position_index
from stvg_jax.backbones.windows import DensePlan, GatherPlan
from stvg_jax.core.tree import unflatten
from stvg_jax.nn.declare import PureModule, initialize

CONFIG = VideoSwinConfig(width=8, depths=(2, 2), heads=(1, 2))
WINDOW = (8, 7, 7)


def make(config=CONFIG):
    module = PureModule(VideoSwin(config))
    parameters = initialize(unflatten(module.declarations), seed=0)
    return jax.jit(lambda frames, sizes=None: module.apply(parameters, lambda m: m(frames, sizes)))


SIZES = [(1, 4, 4), (7, 28, 28), (8, 28, 29), (9, 29, 57), (16, 56, 60), (17, 61, 33), (3, 84, 8), (12, 12, 84)]


@pytest.mark.parametrize(("patch_frames", "sizes"), [(1, SIZES), (5, [(1, 4, 4), (17, 61, 33), (3, 84, 8)])])
def test_padded_equals_alone(patch_frames, sizes):
    """Sizes around every edge: grids smaller than, equal to and larger than a window, odd and even, with and
    without a shift along each axis; videos shorter and longer than a patch."""
    swin = make(dataclasses.replace(CONFIG, patch_frames=patch_frames))
    rng = np.random.default_rng(0)
    videos = [rng.standard_normal((*size, 3)).astype(np.float32) for size in sizes]
    bucket = 4 * rng.standard_normal((len(sizes), 20, 88, 92, 3)).astype(np.float32)
    for i, ((t, h, w), video) in enumerate(zip(sizes, videos, strict=True)):
        bucket[i, :t, :h, :w] = video
    together = np.asarray(swin(bucket, np.array(sizes)))
    for i, video in enumerate(videos):
        alone = np.asarray(swin(video[None]))[0]
        t, h, w, _ = alone.shape
        np.testing.assert_allclose(together[i, :t, :h, :w], alone, atol=2e-5)


@pytest.mark.parametrize("grid", [(3, 5, 6), (8, 7, 7), (9, 15, 8), (16, 14, 20)])
@pytest.mark.parametrize("shifted", [False, True])
def test_both_plans_cut_the_same_windows(grid, shifted):
    x = np.random.default_rng(0).standard_normal((2, *grid, 4)).astype(np.float32)
    dense = DensePlan(grid, WINDOW, shifted)
    gather = GatherPlan(grid, WINDOW, shifted, np.array([grid, grid]))
    ours, theirs = gather.cut(x), dense.cut(x)
    np.testing.assert_array_equal(ours.tokens, theirs.tokens)
    assert np.all(ours.present)
    if theirs.regions is not None:
        # Only equality of regions within a window matters, not their names.
        tiled = np.tile(theirs.regions, (2, 1))
        same = lambda r: np.asarray(r)[:, :, None] == np.asarray(r)[:, None, :]  # noqa: E731
        np.testing.assert_array_equal(same(ours.regions), same(tiled))
    np.testing.assert_array_equal(gather.join(ours.tokens, 2), x)
    np.testing.assert_array_equal(dense.join(theirs.tokens, 2), x)


def test_relative_position_index_is_symmetric_about_its_centre():
    index = relative_position_index((2, 3, 3))
    rows = 3 * 5 * 5
    assert index.shape == (18, 18)
    assert np.all(np.diag(index) == rows // 2)
    np.testing.assert_array_equal(index + index.T, rows - 1)
    assert len(np.unique(index)) == rows


def test_windows_in_steps_equal_all_at_once():
    video = np.random.default_rng(0).standard_normal((2, 9, 60, 64, 3)).astype(np.float32)
    stepped = make(dataclasses.replace(CONFIG, windows_per_step=5))
    np.testing.assert_allclose(stepped(video), make()(video), atol=1e-5)


def test_a_patch_shows_its_neighbours_in_time():
    """Frame by frame, what a patch of three frames makes of a video is what it makes of these three alone, and at the
    ends of the video the frame itself stands in for the one that is missing."""
    patch = PureModule(PatchEmbed(dataclasses.replace(CONFIG, patch_frames=3), dtype=np.float32))
    parameters = initialize(unflatten(patch.declarations), seed=0)
    embed = lambda frames: np.asarray(patch.apply(parameters, lambda m: m(frames)))  # noqa: E731
    video = np.random.default_rng(0).standard_normal((1, 4, 8, 8, 3)).astype(np.float32)
    whole = embed(video)
    for t, shown in enumerate(([0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3])):
        np.testing.assert_allclose(whole[:, t], embed(video[:, shown])[:, 1], atol=1e-6)
    assert np.abs(whole[:, 1] - embed(video[:, [1, 1, 1]])[:, 1]).max() > 0.1


def test_a_patch_has_a_middle_frame():
    with pytest.raises(ValueError, match="patch_frames is 2; it must be an odd number"):
        VideoSwinConfig(patch_frames=2)


def test_stochastic_depth_drops_whole_videos():
    from flax import nnx

    module = PureModule(VideoSwin(dataclasses.replace(CONFIG, drop_path=0.9)))
    parameters = initialize(unflatten(module.declarations), seed=0)
    video = np.random.default_rng(0).standard_normal((6, 2, 28, 28, 3)).astype(np.float32)

    @jax.jit
    def run(key):
        rngs = None if key is None else nnx.Rngs(dropout=key)
        return module.apply(parameters, lambda m: m(video, rngs=rngs))

    plain, dropped = run(None), run(jax.random.key(3))
    changed = np.abs(plain - dropped).max(axis=(1, 2, 3, 4))
    assert (changed > 1e-3).any()
    np.testing.assert_array_equal(dropped, run(jax.random.key(3)))
