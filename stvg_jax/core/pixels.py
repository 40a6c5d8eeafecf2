"""Pixel values as the backbones were trained on them, for numpy and JAX arrays."""

from __future__ import annotations

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def normalize(frames, mean=IMAGENET_MEAN, std=IMAGENET_STD):
    """Subtracts a mean and divides by a standard deviation, by default ImageNet's: float32 [..., 3] in [0, 1] -> the
    same shape."""
    xp = frames.__array_namespace__()
    return (frames - xp.asarray(mean, dtype=xp.float32)) / xp.asarray(std, dtype=xp.float32)


def normalize_as_clip(frames):
    """uint8 [..., 3] -> float32 of the same shape, by the mean and the standard deviation of CLIP's training."""
    return normalize(frames.astype("float32") / 255, _CLIP_MEAN, _CLIP_STD)


def imagenet_from_clip(frames):
    """Result of `normalize_as_clip` -> that of `normalize` for the same pixels."""
    xp = frames.__array_namespace__()
    mean, std = (xp.asarray(numbers, dtype=frames.dtype) for numbers in (_CLIP_MEAN, _CLIP_STD))
    return normalize(frames * std + mean)
