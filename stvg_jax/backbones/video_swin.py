"""Video Swin Transformer with 1x4x4 patches, so that time is not downsampled (Liu et al. 2022, arXiv:2106.13230).

Videos may be padded in time, height and width to a common shape: `sizes` gives their real sizes, and the real part of
the result is that of the unpadded video. That includes the padding to whole windows which the released model itself
adds and attends to.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stvg_jax.backbones.windows import DensePlan, GatherPlan, Windows
from stvg_jax.nn.declare import Declared, LayerNorm, Linear, normal
from stvg_jax.nn.layers import FeedForward, dropout, gelu
from stvg_jax.nn.masking import zero_outside

# Added by the released model to scores across the seam of a cyclic shift. It is finite: a weight of e^-100 remains.
_SEAM_PENALTY = -100.0


@dataclasses.dataclass(frozen=True)
class VideoSwinConfig:
    """Architecture of a Video Swin; the defaults are Swin-T.

    Attributes:
        width: channels after the patch embedding, doubled at each later stage.
        depths: blocks per stage.
        heads: attention heads per stage.
        window: tokens of a window along (time, height, width).
        patch: pixels along each side of a patch; time is not downsampled.
        patch_frames: frames in a patch, an odd number: a frame and as many before it as after it. The released model
            has 1 and learns motion in its many blocks; a shallow model that is trained from scratch hardly does.
        mlp_ratio: hidden channels / outer channels of the feed-forward parts.
        drop_path: stochastic depth of the last block in training; it grows linearly from 0 at the first.
        windows_per_step: windows that are processed at once, to bound memory and to use a CPU's caches: scores are
            windows * heads * 392**2 numbers. None as in `ResNetConfig.images_per_step`.
    """

    width: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (3, 6, 12, 24)
    window: tuple[int, int, int] = (8, 7, 7)
    patch: int = 4
    patch_frames: int = 1
    mlp_ratio: int = 4
    drop_path: float = 0.2
    windows_per_step: int | None = None

    def __post_init__(self):
        if self.patch_frames < 1 or self.patch_frames % 2 == 0:
            raise ValueError(f"patch_frames is {self.patch_frames}; it must be an odd number, 1 or more")

    @property
    def out_channels(self) -> int:
        return self.width * 2 ** (len(self.depths) - 1)

    @property
    def stride(self) -> int:
        """Pixels between the features of the last stage."""
        return self.patch * 2 ** (len(self.depths) - 1)


def relative_position_index(window: tuple[int, int, int]) -> np.ndarray:
    """Row of the bias table for each pair of a window's n slots (row-major), int32 [n, n]."""
    coords = np.stack(np.meshgrid(*map(np.arange, window), indexing="ij"), -1).reshape(-1, 3)
    offset = coords[:, None] - coords[None] + np.array(window) - 1
    _, h, w = (2 * s - 1 for s in window)
    return ((offset[..., 0] * h + offset[..., 1]) * w + offset[..., 2]).astype(np.int32)


class WindowAttention(nnx.Module):
    """Self-attention inside each window, with a learned bias for each relative position and head."""

    def __init__(self, width: int, heads: int, config: VideoSwinConfig, *, dtype):
        self.qkv = Linear(width, 3 * width, dtype=dtype)
        self.proj = Linear(width, width, dtype=dtype)
        rows = math.prod(2 * s - 1 for s in config.window)
        self.relative_position_bias_table = nnx.Param(Declared((rows, heads), normal(0.02)))
        self.window = config.window
        self.heads = heads
        self.windows_per_step = config.windows_per_step

    def __call__(self, windows: Windows) -> jax.Array:
        """windows.tokens [g, n, c] -> [g, n, c]."""
        slots = windows.tokens.shape[1]
        # A shrunk window reads the corner of the full window's table, as in the released model.
        index = relative_position_index(self.window)[:slots, :slots]
        bias = self.relative_position_bias_table[...][index].transpose(2, 0, 1)
        groups = windows.tokens.shape[0]
        regions = windows.regions
        if regions is not None and len(regions) != groups:
            regions = jnp.tile(regions, (groups // len(regions), 1))

        def attend(tokens, regions, present):
            return self._attend(tokens, bias, regions, present)

        if self.windows_per_step is None or groups <= self.windows_per_step:
            return attend(windows.tokens, regions, windows.present)
        return jax.lax.map(
            lambda args: attend(*args)[0],
            jax.tree.map(lambda a: a[:, None], (windows.tokens, regions, windows.present)),
            batch_size=self.windows_per_step,
        )

    def _attend(self, tokens, bias, regions, present):
        g, n, c = tokens.shape
        # Heads come before tokens, so that both products below are plain batched matrix products.
        q, k, v = self.qkv(tokens).reshape(g, n, 3, self.heads, c // self.heads).transpose(2, 0, 3, 1, 4)
        scores = jnp.einsum("ghqc,ghkc->ghqk", q * (c // self.heads) ** -0.5, k).astype(jnp.float32) + bias
        if regions is not None:
            seam = regions[:, :, None] != regions[:, None, :]
            scores = scores + jnp.where(seam, _SEAM_PENALTY, 0.0)[:, None]
        if present is not None:
            scores = jnp.where(present[:, None, None, :], scores, jnp.finfo(jnp.float32).min)
        # The division of the softmax comes after the product: n * c numbers instead of n * n.
        weights = jnp.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = jnp.einsum("ghqk,ghkc->ghqc", weights.astype(v.dtype), v, preferred_element_type=jnp.float32)
        mixed = (mixed / weights.sum(axis=-1)[..., None]).astype(tokens.dtype)
        return self.proj(mixed.transpose(0, 2, 1, 3).reshape(g, n, c))


def _drop_path(x: jax.Array, rate: float, rngs: nnx.Rngs | None) -> jax.Array:
    """Drops a residual branch [b, ...] for whole samples in training."""
    return x * dropout(jnp.ones((x.shape[0], *[1] * (x.ndim - 1)), x.dtype), rate, rngs)


class SwinBlock(nnx.Module):
    """Windowed attention and feed-forward, both pre-norm."""

    def __init__(self, width: int, heads: int, drop_path: float, config: VideoSwinConfig, *, dtype):
        self.norm1 = LayerNorm(width, epsilon=1e-5, dtype=dtype)
        self.attn = WindowAttention(width, heads, config, dtype=dtype)
        self.norm2 = LayerNorm(width, epsilon=1e-5, dtype=dtype)
        self.mlp = FeedForward(width, config.mlp_ratio * width, activation=gelu, dtype=dtype)
        self.drop_path = drop_path
        steps = config.windows_per_step
        self.tokens_per_step = None if steps is None else steps * math.prod(config.window)

    def __call__(self, x: jax.Array, plan: DensePlan | GatherPlan, rngs: nnx.Rngs | None) -> jax.Array:
        """x [b, t, h, w, c] -> the same shape."""
        attended = plan.join(self.attn(plan.cut(self.norm1(x))), x.shape[0])
        x = x + _drop_path(attended, self.drop_path, rngs)
        return x + _drop_path(self._feed_forward(x), self.drop_path, rngs)

    def _feed_forward(self, x: jax.Array) -> jax.Array:
        if self.tokens_per_step is None or math.prod(x.shape[:-1]) <= self.tokens_per_step:
            return self.mlp(self.norm2(x))
        tokens = x.reshape(-1, x.shape[-1])
        step = lambda token: self.mlp(self.norm2(token))  # noqa: E731
        return jax.lax.map(step, tokens, batch_size=self.tokens_per_step).reshape(x.shape)


class PatchEmbed(nnx.Module):
    """Embedding of non-overlapping patches, then a norm."""

    def __init__(self, config: VideoSwinConfig, *, dtype):
        self.proj = Linear(config.patch_frames * 3 * config.patch**2, config.width, dtype=dtype)
        self.norm = LayerNorm(config.width, epsilon=1e-5, dtype=dtype)
        self.patch = config.patch
        self.reach = config.patch_frames // 2

    def __call__(self, frames: jax.Array, lengths: jax.Array | None = None) -> jax.Array:
        """frames [b, t, h, w, 3], real lengths int [b] or None -> [b, t, ceil(h / patch), ceil(w / patch), width].

        The first and the last frame of a video are repeated beyond its ends.
        """
        b, t, h, w, _ = frames.shape
        p = self.patch
        x = jnp.pad(frames, ((0, 0), (0, 0), (0, -h % p), (0, -w % p), (0, 0)))
        rows, columns = x.shape[2] // p, x.shape[3] // p
        x = x.reshape(b, t, rows, p, columns, p, 3).transpose(0, 1, 2, 4, 3, 5, 6)
        x = x.reshape(b, t, rows, columns, p * p * 3)
        if self.reach:
            last = jnp.full((b, 1), t - 1) if lengths is None else lengths[:, None] - 1
            at = [jnp.clip(jnp.arange(t) + step, 0, last) for step in range(-self.reach, self.reach + 1)]
            x = jnp.concatenate([jnp.take_along_axis(x, i[:, :, None, None, None], axis=1) for i in at], axis=-1)
        return self.norm(self.proj(x))


class PatchMerging(nnx.Module):
    """Joins 2x2 neighbouring tokens of each frame into one token with twice the channels."""

    def __init__(self, width: int, *, dtype):
        self.norm = LayerNorm(4 * width, epsilon=1e-5, dtype=dtype)
        self.reduction = Linear(4 * width, 2 * width, use_bias=False, dtype=dtype)

    def __call__(self, x: jax.Array) -> jax.Array:
        """x [b, t, h, w, c], zero where not real -> [b, t, ceil(h / 2), ceil(w / 2), 2c]."""
        x = jnp.pad(x, ((0, 0), (0, 0), (0, x.shape[2] % 2), (0, x.shape[3] % 2), (0, 0)))
        corners = [x[:, :, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.reduction(self.norm(jnp.concatenate(corners, axis=-1)))


class VideoSwin(nnx.Module):
    """The network without its classifier: features of every frame from the last stage, before any final norm."""

    def __init__(self, config: VideoSwinConfig = VideoSwinConfig(), *, dtype: Any = jnp.float32):
        self.config = config
        self.dtype = dtype
        self.patch_embed = PatchEmbed(config, dtype=dtype)
        rates = iter(np.linspace(0, config.drop_path, sum(config.depths)).tolist())
        stages = []
        for i, (depth, heads) in enumerate(zip(config.depths, config.heads, strict=True)):
            width = config.width * 2**i
            blocks = [SwinBlock(width, heads, next(rates), config, dtype=dtype) for _ in range(depth)]
            stages.append(nnx.List(blocks))
        self.stages = nnx.List(stages)
        self.downsamples = nnx.List(
            [PatchMerging(config.width * 2**i, dtype=dtype) for i in range(len(config.depths) - 1)]
        )

    def __call__(self, frames: jax.Array, sizes: jax.Array | None = None, *, rngs: nnx.Rngs | None = None) -> jax.Array:
        """Features of normalised videos.

        Args:
            frames: float [b, t, h, w, 3].
            sizes: int [b, 3], real frames, height and width in pixels of each video; None if no video is padded.
            rngs: stream `dropout` for stochastic depth in training; None in inference.

        Returns:
            [b, t, ceil(h / stride), ceil(w / stride), out_channels]; real within t and ceil(sizes / stride).
        """
        lengths = None if sizes is None else sizes[:, 0]
        x = self.patch_embed(zero_outside(frames.astype(self.dtype), _image_sizes(sizes)), lengths)
        if sizes is not None:
            sizes = jnp.maximum(-(-sizes // jnp.array([1, self.config.patch, self.config.patch])), 1)
        for i, stage in enumerate(self.stages):
            if i > 0:
                x = self.downsamples[i - 1](zero_outside(x, _image_sizes(sizes)))
                sizes = None if sizes is None else -(-sizes // jnp.array([1, 2, 2]))
            plans = [self._plan(x.shape[1:4], shifted, sizes) for shifted in (False, True)]
            for j, block in enumerate(stage):
                x = block(x, plans[j % 2], rngs)
        return x

    def _plan(self, grid, shifted: bool, sizes):
        if sizes is None:
            return DensePlan(grid, self.config.window, shifted)
        return GatherPlan(grid, self.config.window, shifted, sizes)


def _image_sizes(sizes: jax.Array | None) -> jax.Array | None:
    """(height, width) of sizes (time, height, width)."""
    return None if sizes is None else sizes[:, 1:]
