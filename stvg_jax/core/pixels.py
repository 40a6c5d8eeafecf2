"""Pixel values as the backbones were trained on them, for numpy and JAX arrays."""

from __future__ import annotations

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalize(frames):
    """Subtracts ImageNet's mean and divides by its standard deviation: float32 [..., 3] in [0, 1] -> the same shape."""
    xp = frames.__array_namespace__()
    return (frames - xp.asarray(IMAGENET_MEAN, dtype=xp.float32)) / xp.asarray(IMAGENET_STD, dtype=xp.float32)
