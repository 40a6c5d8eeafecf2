"""Batches of random videos, alone and padded, and whether a model answers alike in both."""

from __future__ import annotations

import dataclasses

import numpy as np

from stvg_jax.grounding.types import GroundingBatch, GroundingOutput


def make_batch(t=9, h=70, w=100, l=6, b=1, seed=0) -> GroundingBatch:
    rng = np.random.default_rng(seed)
    return GroundingBatch(
        frames=rng.standard_normal((b, t, h, w, 3)).astype(np.float32),
        text_ids=rng.integers(4, 64, (b, l)).astype(np.int32),
    )


def padded(batches: list[GroundingBatch], t: int, h: int, w: int, l: int) -> GroundingBatch:
    """The first rows of batches of different sizes in one bucket; the padding is loud noise, so that a leak shows."""
    rng = np.random.default_rng(1)
    frames = 5 * rng.standard_normal((len(batches), t, h, w, 3)).astype(np.float32)
    ids = rng.integers(4, 64, (len(batches), l)).astype(np.int32)
    for i, batch in enumerate(batches):
        _, ct, ch, cw, _ = batch.frames.shape
        frames[i, :ct, :ch, :cw] = batch.frames[0]
        ids[i, : batch.text_ids.shape[1]] = batch.text_ids[0]
    return GroundingBatch(
        frames=frames,
        text_ids=ids,
        text_valid=np.arange(l) < np.array([[b.text_ids.shape[1]] for b in batches]),
        frames_valid=np.arange(t) < np.array([[b.frames.shape[1]] for b in batches]),
        sizes=np.array([b.frames.shape[2:4] for b in batches], np.int32),
    )


def with_empty_row(batch: GroundingBatch, row: int) -> GroundingBatch:
    """A padded batch in which nothing of this row is real."""
    real = np.arange(len(batch.frames)) != row % len(batch.frames)
    masks = {name: getattr(batch, name) * real[:, None] for name in ("text_valid", "frames_valid", "sizes")}
    return dataclasses.replace(batch, **masks)


def assert_same_row(one: GroundingOutput, row_of_one: int, other: GroundingOutput, row_of_other: int, frames: int):
    """Predictions for a video of this number of frames are the same in two batches."""
    a, b = one.row(row_of_one), other.row(row_of_other)
    for name in ("boxes_cxcywh", "start_end_logits", "actioness_logits"):
        np.testing.assert_allclose(getattr(a, name)[:, :frames], getattr(b, name)[:, :frames], atol=1e-5)
    if a.sampling_score is not None:
        np.testing.assert_allclose(a.sampling_score[:frames], b.sampling_score[:frames], atol=1e-5)
    for name in ("appearance_attribute_logits", "motion_attribute_logits"):
        if getattr(a, name) is not None:
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-5)
    if one.attention is not None:
        a, b = one.attention[:, row_of_one], other.attention[:, row_of_other]
        np.testing.assert_allclose(a[:, :frames, :frames], b[:, :frames, :frames], atol=1e-5)
