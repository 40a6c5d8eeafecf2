"""ViT as in EVA (Fang et al. 2022, arXiv:2211.07636): tokens of images, without a norm after the last block."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.nn.attention import PreNormBlock
from stvg_jax.nn.declare import Declared, Linear, normal
from stvg_jax.nn.remat import remat_call

_EPSILON = 1e-6


@dataclasses.dataclass(frozen=True)
class ViTConfig:
    """Architecture of a ViT; the defaults are EVA ViT-g without its last block, as BLIP-2 and STGT use it.

    Attributes:
        image: pixels along each side of an image.
        patch: pixels along each side of a patch.
        width: channels.
        blocks: transformer blocks.
        heads: attention heads.
        hidden: channels inside the feed-forward parts.
        images_per_step: as in ResNetConfig.
    """

    image: int = 224
    patch: int = 14
    width: int = 1408
    blocks: int = 39
    heads: int = 16
    hidden: int = 6144
    images_per_step: int | None = None

    def __post_init__(self):
        if self.image % self.patch:
            raise ValueError(f"image is {self.image}; it must be a multiple of patch, {self.patch}")
        if self.width % self.heads:
            raise ValueError(f"width is {self.width}; it must be a multiple of heads, {self.heads}")

    @property
    def grid(self) -> int:
        """Patches along each side of an image."""
        return self.image // self.patch

    @property
    def tokens(self) -> int:
        """Tokens of an image: the class token, then the patches in row-major order."""
        return 1 + self.grid**2


def patch_tokens(images: jax.Array, patch: int) -> jax.Array:
    """Pixels of square patches in row-major order: [..., h, w, c] -> [..., h / patch * w / patch, patch**2 * c]."""
    *leading, h, w, c = images.shape
    rows, columns = h // patch, w // patch
    x = images.reshape(*leading, rows, patch, columns, patch, c)
    return jnp.moveaxis(x, -4, -3).reshape(*leading, rows * columns, patch * patch * c)


class ViT(nnx.Module):
    """Patches, a class token and learned positions through pre-norm blocks (released: `eva_vit.py`)."""

    def __init__(self, config: ViTConfig = ViTConfig(), *, dtype: Any = jnp.float32):
        width = config.width
        self.patches = Linear(3 * config.patch**2, width, dtype=dtype)
        self.class_token = nnx.Param(Declared((1, width), normal(0.02)))
        self.positions = nnx.Param(Declared((config.tokens, width), normal(0.02)))
        self.blocks = nnx.List(
            [
                PreNormBlock(width, config.heads, config.hidden, epsilon=_EPSILON, key_bias=False, dtype=dtype)
                for _ in range(config.blocks)
            ]
        )
        self.config = config
        self.dtype = dtype

    def __call__(self, images: jax.Array) -> jax.Array:
        """Tokens of normalised images.

        Args:
            images: float [n, image, image, 3].

        Returns:
            [n, tokens, width].

        Raises:
            ValueError: the images have another size.
        """
        side = self.config.image
        if images.shape[1:] != (side, side, 3):
            raise ValueError(f"images are {images.shape[1:]}; they must be {side} x {side} pixels with 3 channels")
        step = self.config.images_per_step
        if step is None or len(images) <= step:
            return self._run(images)
        return jax.lax.map(lambda image: self._run(image[None])[0], images, batch_size=step)

    def embed(self, images: jax.Array) -> jax.Array:
        """Tokens before the first block, of the same shape."""
        x = self.patches(patch_tokens(images.astype(self.dtype), self.config.patch))
        first = jnp.broadcast_to(self.class_token[...].astype(self.dtype), (len(images), 1, self.config.width))
        return jnp.concatenate([first, x], axis=1) + self.positions[...].astype(self.dtype)

    def _run(self, images: jax.Array) -> jax.Array:
        x = self.embed(images)
        for block in self.blocks:
            x = remat_call(block, x)
        return x
