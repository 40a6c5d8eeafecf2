"""Bilinear resampling of a picture as the released systems do it, with the library of each.

Each function takes uint8 [H, W, 3] and a size (h, w), and gives float32 [h, w, 3] in [0, 1].
"""

from __future__ import annotations

import numpy as np
from PIL import Image

# OpenCV's steps between two pixels.
_STEPS = 2048


def resample_smoothly(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """All pixels under a smaller one count: within 5e-5 of torchvision's `Resize(size, antialias=True)` on tensors."""
    height, width = size
    result = np.empty((height, width, 3), np.float32)
    for channel in range(3):
        # Pillow rounds 8-bit results to whole numbers; its float pictures have one channel.
        plane = Image.fromarray(frame[..., channel].astype(np.float32))
        result[..., channel] = np.asarray(plane.resize((width, height), Image.Resampling.BILINEAR))
    result /= 255
    return result


def resample_sharply(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Only the two by two nearest pixels count, which leaves jagged edges in a smaller picture: within 5e-5 of
    torchvision's `Resize(size, antialias=False)` on tensors."""
    # Pillow always antialiases when it shrinks a picture.
    first, second, share = _taps(frame.shape[0], size[0])
    share = share[:, None, None]
    rows = frame[first] * (1 - share) + frame[second] * share
    first, second, share = _taps(frame.shape[1], size[1])
    share = share[:, None]
    return (rows[:, first] * (1 - share) + rows[:, second] * share) / 255


def resample_in_bytes(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """As `resample_sharply`, with shares and results in whole numbers: the same values as `cv2.resize` on uint8."""
    first, second, left, right = _whole_taps(frame.shape[1], size[1])
    columns = frame[:, first] * left[:, None] + frame[:, second] * right[:, None]
    first, second, upper, lower = _whole_taps(frame.shape[0], size[0])
    # Bits are dropped where OpenCV drops them.
    columns >>= 4
    upper_part = (columns[first] * upper[:, None, None]) >> 16
    lower_part = (columns[second] * lower[:, None, None]) >> 16
    return ((upper_part + lower_part + 2) >> 2).astype(np.float32) / 255


def _taps(before: int, after: int, dtype: type = np.float64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each pixel along an axis, [after]: the two that it is made of, and the second's share, float32 in [0, 1).

    Args:
        before, after: pixels along the axis.
        dtype: of the pixel's place between the others.
    """
    place = np.maximum((np.arange(after) + 0.5) * (before / after) - 0.5, 0).astype(dtype)
    first = np.minimum(place.astype(np.int64), before - 1)
    return first, np.minimum(first + 1, before - 1), (place - first).astype(np.float32)


def _whole_taps(before: int, after: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The two pixels as `_taps`, and the shares of both in OpenCV's steps, int32 [after]."""
    first, second, share = _taps(before, after, np.float32)
    before_it, after_it = (np.rint(part * np.float32(_STEPS)).astype(np.int32) for part in (1 - share, share))
    return first, second, before_it, after_it
