"""Random changes of the pictures of a training clip, the same for all of its frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from stvg_jax.core.errors import InputError

_STRENGTHS = 10
_GREY = (128, 128, 128)
_TRIES = 10

Change = Callable[[Image.Image], Image.Image]


@dataclasses.dataclass(frozen=True)
class ClipChanges:
    """Settings of the changes; the defaults are those of STGT and ALPRO (LAVIS: `processors/alpro_processors.py`).

    Attributes:
        least_area: a part of the picture with at least this share of its area is cut out and enlarged; 1 for none.
        flip: probability of mirroring.
        operations: operations of RandAugment (Cubuk et al. 2020) that are drawn for a clip.
        strength: strength of these operations, 0 to 10.
    """

    least_area: float = 0.5
    flip: float = 0.5
    operations: int = 2
    strength: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.least_area <= 1:
            raise InputError(
                f"least_area={self.least_area} is a share of the picture; it must be above 0 and at most 1"
            )
        if not 0 <= self.flip <= 1:
            raise InputError(f"flip={self.flip} is a probability; it must lie between 0 and 1")
        if self.operations < 0 or not 0 <= self.strength <= _STRENGTHS:
            raise InputError(
                f"operations={self.operations}, strength={self.strength}: the number must not be negative, and the "
                f"strength lies between 0 and {_STRENGTHS}"
            )

    @property
    def changes_pictures(self) -> bool:
        """Whether any clip may be changed."""
        return self.least_area < 1 or self.flip > 0 or self.operations > 0

    def draw(self, rng: np.random.Generator) -> DrawnChanges:
        """Draws the changes of one clip."""
        cut = _draw_cut(rng, self.least_area)
        flip = bool(rng.random() < self.flip)
        names = rng.choice(len(_OPERATIONS), self.operations)
        signs = np.where(rng.random(self.operations) < 0.5, -1, 1)
        share = self.strength / _STRENGTHS
        return DrawnChanges(cut, flip, [_OPERATIONS[n](s * share) for n, s in zip(names, signs, strict=True)])


@dataclasses.dataclass(frozen=True)
class DrawnChanges:
    """The changes of one clip.

    Attributes:
        cut: (left, top, right, bottom) of the part that is cut out, as shares of the picture.
        flip: whether the picture is mirrored.
        operations: further changes.
    """

    cut: tuple[float, float, float, float]
    flip: bool
    operations: list[Change]

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Changes frames, uint8 [t, h, w, 3] of the same shape."""
        return np.stack([self._one(frame) for frame in frames])

    def _one(self, frame: np.ndarray) -> np.ndarray:
        picture = Image.fromarray(frame)
        width, height = picture.size
        left, top, right, bottom = self.cut
        if self.cut != (0, 0, 1, 1):
            box = (left * width, top * height, right * width, bottom * height)
            picture = picture.resize(picture.size, Image.Resampling.BICUBIC, box=box)
        if self.flip:
            picture = ImageOps.mirror(picture)
        for operation in self.operations:
            picture = operation(picture)
        return np.asarray(picture)


def _draw_cut(rng: np.random.Generator, least_area: float) -> tuple[float, float, float, float]:
    """A part of 3:4 to 4:3 of a square, or all of it where none of some tries fits (torchvision:
    `RandomResizedCrop`)."""
    if least_area == 1:
        return 0, 0, 1, 1
    for _ in range(_TRIES):
        area, ratio = rng.uniform(least_area, 1), np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        width, height = float(np.sqrt(area * ratio)), float(np.sqrt(area / ratio))
        if width <= 1 and height <= 1:
            left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
            return float(left), float(top), float(left) + width, float(top) + height
    return 0, 0, 1, 1


def _affine(picture: Image.Image, *coefficients: float) -> Image.Image:
    return picture.transform(
        picture.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR, fillcolor=_GREY
    )


# Functions from a share of the full strength, with a sign, to an operation (LAVIS: `processors/randaugment.py`, where
# the sign is drawn for every frame).
_OPERATIONS: tuple[Callable[[float], Change], ...] = (
    lambda share: lambda picture: picture,
    lambda share: ImageOps.autocontrast,
    lambda share: lambda picture: ImageEnhance.Brightness(picture).enhance(0.1 + 1.8 * abs(share)),
    lambda share: lambda picture: ImageEnhance.Sharpness(picture).enhance(0.1 + 1.8 * abs(share)),
    lambda share: ImageOps.equalize,
    lambda share: lambda picture: _affine(picture, 1, 0.3 * share, 0, 0, 1, 0),
    lambda share: lambda picture: _affine(picture, 1, 0, 0, 0.3 * share, 1, 0),
    lambda share: lambda picture: _affine(picture, 1, 0, 10 * share, 0, 1, 0),
    lambda share: lambda picture: _affine(picture, 1, 0, 0, 0, 1, 10 * share),
    lambda share: lambda picture: picture.rotate(30 * share, Image.Resampling.BILINEAR, fillcolor=_GREY),
)
