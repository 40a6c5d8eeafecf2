"""The part of a picture that a clip shows and the size it is shown in, and where boxes are then."""

from __future__ import annotations

import dataclasses

import numpy as np

from stvg_jax.data_pipeline.frames import model_size
from stvg_jax.data_pipeline.loading.config import LoaderConfig

# TA-STVG's datasets/build.py resizes to one of these rows, then cuts out a part with sides of 384 to 600, at resolution
# 420. Here all of them scale with the resolution.
_REFERENCE_RESOLUTION = 420
_CROP_SCALES = (400, 500, 600)
_CROP_SIDE = (384, 600)
_CROP_TRIES = 50


@dataclasses.dataclass(frozen=True)
class View:
    """The way from a stored picture to the one that is shown: a part is cut out, resized, then flipped.

    Attributes:
        stored: (height, width) of the stored picture.
        part: (top, left, height, width) in pixels of the stored picture.
        size: (height, width) of what the model sees.
        flip: whether it is mirrored.
    """

    stored: tuple[int, int]
    part: tuple[int, int, int, int]
    size: tuple[int, int]
    flip: bool = False

    def show(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes xyxy, float64 [n, 4], in [0, 1] of the stored picture to [0, 1] of what is shown, cut at its edges."""
        height, width = self.stored
        top, left, part_height, part_width = self.part
        offset, scale = np.array([left, top] * 2), np.array([part_width, part_height] * 2)
        shown = np.clip((boxes * [width, height, width, height] - offset) / scale, 0, 1)
        return np.abs(shown[:, [2, 1, 0, 3]] - [1, 0, 1, 0]) if self.flip else shown


def whole_view(stored: tuple[int, int], size: tuple[int, int]) -> View:
    """All of the picture, unflipped."""
    return View(stored, (0, 0, *stored), size)


def training_view(
    stored: tuple[int, int],
    original: tuple[int, int],
    boxes: np.ndarray,
    config: LoaderConfig,
    rng: np.random.Generator,
) -> View:
    """A random view; never larger than `model_size(*original, config.resolution)`.

    Args:
        stored, original: (height, width) of a picture in the store and of the video.
        boxes: float64 [n, 4], xyxy in [0, 1]; each keeps some of its area in the view.
    """
    flip = bool(rng.random() < config.flip)
    rows = config.scales[rng.integers(len(config.scales))] if config.scales else config.resolution
    size = model_size(*original, rows)
    if not rng.random() < config.size_crop:
        return View(stored, (0, 0, *stored), size, flip)
    part = _random_part(stored, model_size(*original, config.resolution), boxes, config, rng)
    # Enlarged or reduced to just fit: a part need not have the proportions of the whole.
    full_height, full_width = (part[2] / stored[0] * size[0], part[3] / stored[1] * size[1])
    factor = min(size[0] / full_height, size[1] / full_width)
    shown = max(1, int(full_height * factor + 1e-6)), max(1, int(full_width * factor + 1e-6))
    return View(stored, part, shown, flip)


def _random_part(
    stored: tuple[int, int],
    size: tuple[int, int],
    boxes: np.ndarray,
    config: LoaderConfig,
    rng: np.random.Generator,
) -> tuple[int, int, int, int]:
    """A part of the stored picture that no box vanishes from; all of it when none is found."""
    unit = config.resolution / _REFERENCE_RESOLUTION
    rows = rng.choice(_CROP_SCALES) * unit
    enlarged = np.array([rows, rows * size[1] / size[0]])
    least, most = np.minimum(_CROP_SIDE[0] * unit, enlarged), np.minimum(_CROP_SIDE[1] * unit, enlarged)
    for _ in range(_CROP_TRIES):
        # In [0, 1] of the picture, then in whole pixels of it.
        sides = rng.uniform(least, most) / enlarged
        corner = rng.uniform(0, 1 - sides)
        first = np.round(corner * stored).astype(int)
        last = np.maximum(np.round((corner + sides) * stored).astype(int), first + 1)
        view = View(stored, (*first.tolist(), *(last - first).tolist()), size)
        left_over = view.show(boxes)
        if np.all(left_over[:, :2] < left_over[:, 2:]):
            return view.part
    return (0, 0, *stored)
