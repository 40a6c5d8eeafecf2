"""TimeSformer (Bertasius et al. 2021, arXiv:2102.05095) with divided attention: over time, then within frames."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.backbones.vit import patch_tokens
from stvg_jax.nn.attention import MultiHeadAttention
from stvg_jax.nn.declare import Declared, LayerNorm, Linear, normal, zeros
from stvg_jax.nn.layers import FeedForward, gelu
from stvg_jax.nn.remat import remat_call

_EPSILON = 1e-6


@dataclasses.dataclass(frozen=True)
class TimeSformerConfig:
    """Architecture of a TimeSformer; the defaults are that of ALPRO's retrieval models.

    Attributes:
        image: pixels along each side of a frame.
        patch: pixels along each side of a patch.
        frames: rows of the table of times.
        width: channels.
        blocks: transformer blocks.
        heads: attention heads.
        hidden: channels inside the feed-forward parts.
    """

    image: int = 224
    patch: int = 16
    frames: int = 8
    width: int = 768
    blocks: int = 12
    heads: int = 12
    hidden: int = 3072

    def __post_init__(self):
        if self.image % self.patch:
            raise ValueError(f"image is {self.image}; it must be a multiple of patch, {self.patch}")
        if self.width % self.heads:
            raise ValueError(f"width is {self.width}; it must be a multiple of heads, {self.heads}")

    @property
    def patches(self) -> int:
        """Patches of a frame."""
        return (self.image // self.patch) ** 2


class TimeSformerBlock(nnx.Module):
    """Attention over time at each place, attention within each frame, feed-forward."""

    def __init__(self, config: TimeSformerConfig, *, dtype):
        def attention() -> MultiHeadAttention:
            return MultiHeadAttention(config.width, config.heads, dtype=dtype)

        def layer_norm():
            return LayerNorm(config.width, epsilon=_EPSILON, dtype=dtype)

        self.time_norm, self.time_attention = layer_norm(), attention()
        # Starts at zero, so that a new model is an image transformer.
        self.time_projection = Linear(config.width, config.width, init=zeros, dtype=dtype)
        self.attention_norm, self.attention = layer_norm(), attention()
        self.ffn_norm = layer_norm()
        self.ffn = FeedForward(config.width, config.hidden, activation=gelu, dtype=dtype)

    def __call__(self, first: jax.Array, patches: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Class tokens [b, 1, d] and patches [b, t, n, d] -> the same."""
        over_time = self.time_norm(patches).swapaxes(1, 2)
        attended, _ = self.time_attention(over_time, over_time, over_time)
        patches = patches + self.time_projection(attended).swapaxes(1, 2)
        b, t, _, d = patches.shape
        # Every frame has its own copy of the class token, and their mean is the new one.
        frames = jnp.concatenate([jnp.broadcast_to(first[:, None], (b, t, 1, d)), patches], axis=2)
        normed = self.attention_norm(frames)
        attended, _ = self.attention(normed, normed, normed)
        first, patches = first + attended[:, :, 0].mean(axis=1, keepdims=True), patches + attended[:, :, 1:]
        return first + self.ffn(self.ffn_norm(first)), patches + self.ffn(self.ffn_norm(patches))


class TimeSformer(nnx.Module):
    """Tokens of a video: the class token, and each place's mean over the frames (released: `vit.py` of ALPRO)."""

    def __init__(self, config: TimeSformerConfig = TimeSformerConfig(), *, dtype: Any = jnp.float32):
        width = config.width
        self.patches = Linear(3 * config.patch**2, width, dtype=dtype)
        self.class_token = nnx.Param(Declared((1, width), normal(0.02)))
        self.positions = nnx.Param(Declared((1 + config.patches, width), normal(0.02)))
        self.times = nnx.Param(Declared((config.frames, width), zeros))
        self.blocks = nnx.List([TimeSformerBlock(config, dtype=dtype) for _ in range(config.blocks)])
        self.norm = LayerNorm(width, epsilon=_EPSILON, dtype=dtype)
        self.config = config
        self.dtype = dtype

    def __call__(self, frames: jax.Array) -> jax.Array:
        """Tokens of normalised frames.

        Args:
            frames: float [b, t, image, image, 3]. If t is not `config.frames`, each frame takes the nearest time.

        Returns:
            [b, 1 + patches, width], the patches in row-major order.

        Raises:
            ValueError: the frames have another size.
        """
        first, patches = self.embed(frames)
        for block in self.blocks:
            first, patches = remat_call(block, first, patches)
        return jnp.concatenate([self.norm(first), self.norm(patches).mean(axis=1)], axis=1)

    def embed(self, frames: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Class tokens [b, 1, d] and patches [b, t, n, d] before the first block."""
        config, (b, t) = self.config, frames.shape[:2]
        side = config.image
        if frames.shape[2:] != (side, side, 3):
            raise ValueError(f"frames are {frames.shape[2:]}; they must be {side} x {side} pixels with 3 channels")
        first, places, times = (
            table[...].astype(self.dtype) for table in (self.class_token, self.positions, self.times)
        )
        patches = self.patches(patch_tokens(frames.astype(self.dtype), config.patch)) + places[1:]
        patches = patches + times[jnp.arange(t) * config.frames // t][:, None]
        return jnp.broadcast_to(first + places[:1], (b, 1, config.width)), patches
