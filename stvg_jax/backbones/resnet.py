"""ResNet with frozen batch norm (He et al. 2016; torchvision's v1.5 layout, stride in the 3x3 convolution).

Channels last. Images may be padded at the bottom and the right to a common shape: `sizes` gives their real sizes, and
the real part of the result is that of the unpadded image.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.nn.affine import add_bias, affine
from stvg_jax.nn.declare import Declared, he_normal, ones, zeros
from stvg_jax.nn.masking import zero_outside
from stvg_jax.nn.remat import remat_call


@dataclasses.dataclass(frozen=True)
class ResNetConfig:
    """Architecture of a bottleneck ResNet.

    Attributes:
        blocks: number of bottleneck blocks in each stage; (3, 4, 23, 3) is ResNet-101.
        width: channels of the stem; stage i has width * 2**i channels inside and returns four times as many.
        images_per_step: images that are processed at once, to bound memory and to use a CPU's caches. None lets a
            family choose by the machine (`Family.fit`); a module that is built with None processes all at once.
    """

    blocks: tuple[int, ...] = (3, 4, 23, 3)
    width: int = 64
    images_per_step: int | None = None

    @property
    def out_channels(self) -> int:
        return self.width * 4 * 2 ** (len(self.blocks) - 1)

    @property
    def stride(self) -> int:
        """Pixels between the features of the last stage."""
        return 2 ** (len(self.blocks) + 1)


class FrozenStatistic(nnx.Variable):
    """An array of the model and its checkpoints that is never trained (a batch norm's buffer)."""


# Blocks in a unit of rematerialisation. The inputs of units are kept for all images of a batch, intermediate results
# inside a unit for the images of one step only.
_BLOCKS_KEPT_TOGETHER = 4


def strided(sizes: jax.Array | None, stride: int) -> jax.Array | None:
    """Real sizes after a convolution with this stride and 'same' padding: ceil(sizes / stride)."""
    return None if sizes is None else -(-sizes // stride)


class ConvNorm(nnx.Module):
    """A convolution without bias and a frozen batch norm, applied as one convolution.

    The statistics and the affine part of the batch norm are never trained, so scaling the kernel once per call replaces
    two passes over the activations. The kernel still gets its gradient.

    Args:
        kernel_size: 1, 3 or 7.
        stride: 1 or 2.
    """

    EPSILON = 1e-5

    def __init__(self, features_in: int, features: int, kernel_size: int, stride: int = 1, *, dtype):
        shape = (kernel_size, kernel_size, features_in, features)
        self.kernel = nnx.Param(Declared(shape, he_normal))
        self.scale = FrozenStatistic(Declared((features,), ones))
        self.bias = FrozenStatistic(Declared((features,), zeros))
        self.mean = FrozenStatistic(Declared((features,), zeros))
        self.var = FrozenStatistic(Declared((features,), ones))
        self.stride = stride
        self.dtype = dtype

    def __call__(self, x: jax.Array) -> jax.Array:
        """x [n, h, w, c] -> [n, ceil(h / stride), ceil(w / stride), features]."""
        scale = self.scale[...] * jax.lax.rsqrt(self.var[...] + self.EPSILON)
        kernel = (self.kernel[...] * scale).astype(self.dtype)
        bias = (self.bias[...] - self.mean[...] * scale).astype(self.dtype)
        if kernel.shape[0] == 1:
            x = x[:, :: self.stride, :: self.stride]
            return affine(x, kernel[0, 0], bias)
        pad = kernel.shape[0] // 2
        convolved = jax.lax.conv_general_dilated(
            x,
            kernel,
            window_strides=(self.stride, self.stride),
            padding=((pad, pad), (pad, pad)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return add_bias(convolved, bias)


class Bottleneck(nnx.Module):
    """1x1, 3x3 and 1x1 convolutions with a shortcut."""

    def __init__(self, features_in: int, width: int, stride: int, *, dtype):
        self.conv1 = ConvNorm(features_in, width, 1, dtype=dtype)
        self.conv2 = ConvNorm(width, width, 3, stride, dtype=dtype)
        self.conv3 = ConvNorm(width, width * 4, 1, dtype=dtype)
        self.downsample = (
            ConvNorm(features_in, width * 4, 1, stride, dtype=dtype)
            if stride != 1 or features_in != width * 4
            else None
        )

    def __call__(self, x: jax.Array, sizes: jax.Array | None) -> jax.Array:
        """x [n, h, w, c] whose real part is `sizes` (int [n, 2] or None)."""
        # Only the 3x3 convolution reads neighbouring pixels, so only its input must be zero beyond the real image.
        hidden = zero_outside(jax.nn.relu(self.conv1(x)), sizes)
        hidden = self.conv3(jax.nn.relu(self.conv2(hidden)))
        shortcut = x if self.downsample is None else self.downsample(x)
        return jax.nn.relu(hidden + shortcut)


def _max_pool(x: jax.Array) -> jax.Array:
    """3x3 maximum with stride 2, of an input that is never negative, so that it may be padded with zeros.

    Columns first, then rows: the gradient of `reduce_window` takes three times as long.
    """
    return _max_of_three(_max_of_three(x, axis=2), axis=1)


def _max_of_three(x: jax.Array, axis: int) -> jax.Array:
    """Maximum of three neighbours with stride 2 along an axis; the gradient goes to the first of equals."""
    count = -(-x.shape[axis] // 2)
    border = [(0, 0)] * x.ndim
    border[axis] = (1, 2 * count - x.shape[axis])
    padded = jnp.pad(x, border)
    first, second, third = (jax.lax.slice_in_dim(padded, i, i + 2 * count - 1, 2, axis) for i in range(3))
    best = jnp.where(first >= second, first, second)
    return jnp.where(best >= third, best, third)


class ResNet(nnx.Module):
    """The network without its classifier: features of the last stage."""

    def __init__(self, config: ResNetConfig = ResNetConfig(), *, dtype: Any = jnp.float32):
        self.stem = ConvNorm(3, config.width, 7, 2, dtype=dtype)
        stages, features = [], config.width
        for i, count in enumerate(config.blocks):
            width, blocks = config.width * 2**i, []
            for j in range(count):
                stride = 2 if i > 0 and j == 0 else 1
                blocks.append(Bottleneck(features, width, stride, dtype=dtype))
                features = width * 4
            stages.append(nnx.List(blocks))
        self.stages = nnx.List(stages)
        self.images_per_step = config.images_per_step
        self.dtype = dtype

    def __call__(self, images: jax.Array, sizes: jax.Array | None = None) -> jax.Array:
        """Features of normalised images.

        Args:
            images: float [n, h, w, 3].
            sizes: int [n, 2], real height and width of each image; None if no image is padded.

        Returns:
            [n, ceil(h / stride), ceil(w / stride), out_channels]; real within ceil(sizes / stride).
        """
        step = self.images_per_step
        if step is None or len(images) <= step:
            return self._run(images, sizes)
        return jax.lax.map(
            lambda one: self._run(one[0][None], None if one[1] is None else one[1][None])[0],
            (images, sizes),
            batch_size=step,
        )

    def _run(self, images: jax.Array, sizes: jax.Array | None) -> jax.Array:
        x = zero_outside(images.astype(self.dtype), sizes)
        sizes = strided(sizes, 2)
        x = zero_outside(jax.nn.relu(self.stem(x)), sizes)
        x, sizes = _max_pool(x), strided(sizes, 2)
        for stage in self.stages:
            for first in range(0, len(stage), _BLOCKS_KEPT_TOGETHER):
                run = partial(_run_blocks, list(stage)[first : first + _BLOCKS_KEPT_TOGETHER])
                x, sizes = remat_call(run, x, sizes)
        return x


def _run_blocks(blocks: list[Bottleneck], x: jax.Array, sizes: jax.Array | None):
    """Runs consecutive blocks: (x [n, h, w, c], real sizes) -> the same of the result."""
    for block in blocks:
        x = block(x, sizes)
        sizes = strided(sizes, block.conv2.stride)
    return x, sizes
