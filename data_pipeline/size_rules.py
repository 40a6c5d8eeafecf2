"""Rules by which pictures are resized for a model."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable

import numpy as np

from stvg_jax.core.constants import MAX_ASPECT
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.pixels import IMAGENET_MEAN
from stvg_jax.data_pipeline.resampling import resample_in_bytes, resample_sharply, resample_smoothly

# uint8 [H, W, 3] and (h, w) -> float32 [h, w, 3] in [0, 1].
Resample = Callable[[np.ndarray, tuple[int, int]], np.ndarray]


class SizeRule(abc.ABC):
    """A way to resize pictures.

    Attributes:
        antialias: whether all pixels under a smaller one count, or only the two by two nearest.
        keeps_proportions: whether the resolution is that of the shorter side, and the other side follows; otherwise it
            is the height.
        resample: function that resizes a picture.
    """

    antialias: bool
    keeps_proportions: bool
    resample: Resample

    @abc.abstractmethod
    def size(self, height: int, width: int, resolution: int, side: int | None = None) -> tuple[int, int]:
        """(height, width) of a picture of this height and width for a model.

        Args:
            height, width: at least 1.
            resolution: of the model.
            side: smaller resolution that was drawn in training; None for that of the model.
        """

    @abc.abstractmethod
    def largest(self, resolution: int) -> tuple[int, int]:
        """(rows, columns) that hardly any picture exceeds: a very long one may by rounding."""


class Squeezed(SizeRule):
    """The height becomes the resolution; the width follows but is at most 1.4 times that, so wide pictures are
    squeezed. (TA-STVG, `datasets/transforms.py`.)"""

    antialias = True
    keeps_proportions = False
    resample = staticmethod(resample_smoothly)

    def size(self, height: int, width: int, resolution: int, side: int | None = None) -> tuple[int, int]:
        rows = side or resolution
        return rows, min(int(rows * (width / height)), int(rows * MAX_ASPECT))

    def largest(self, resolution: int) -> tuple[int, int]:
        return resolution, max(1, int(resolution * MAX_ASPECT))


class Square(SizeRule):
    """Height and width become the resolution, whatever the proportions were.

    (STGT and ALPRO: decord with `width` and `height`, which scales before the conversion to RGB. On a film of 768x432
    the pixels at 224 differ from decord's by 1.0 of 255 in the mean and by at most 16; stored as JPEG of quality 95, by
    1.4 and 17.)
    """

    antialias = True
    keeps_proportions = False
    resample = staticmethod(resample_smoothly)

    def size(self, height: int, width: int, resolution: int, side: int | None = None) -> tuple[int, int]:
        pixels = side or resolution
        return pixels, pixels

    def largest(self, resolution: int) -> tuple[int, int]:
        return resolution, resolution


class Padded(SizeRule):
    """The height becomes the resolution, the width 1.5 times that. The picture keeps its proportions, at the
    upper left; ImageNet's mean colour fills the rest. (Small models that are trained on generated videos.)"""

    antialias = True
    keeps_proportions = False

    @staticmethod
    def resample(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """As `Resample`."""
        scale = min(size[0] / frame.shape[0], size[1] / frame.shape[1])
        height, width = (max(1, round(pixels * scale)) for pixels in frame.shape[:2])
        result = np.empty((*size, 3), np.float32)
        result[:] = IMAGENET_MEAN
        result[:height, :width] = resample_smoothly(frame, (height, width))
        return result

    def size(self, height: int, width: int, resolution: int, side: int | None = None) -> tuple[int, int]:
        return self.largest(side or resolution)

    def largest(self, resolution: int) -> tuple[int, int]:
        return resolution, max(1, 3 * resolution // 2)


@dataclasses.dataclass(frozen=True)
class Proportional(SizeRule):
    """The shorter side becomes the resolution, or less where the longer one would exceed a limit; proportions stay.
    (STCAT, `datasets/transforms.py`, and TubeDETR, `datasets/video_transforms.py`: `RandomResize`.)

    Attributes:
        longest: function from the resolution to the largest number of pixels of the longer side.
        resample: as for SizeRule.
    """

    longest: Callable[[int], int]
    resample: Resample
    antialias = False
    keeps_proportions = True

    def size(self, height: int, width: int, resolution: int, side: int | None = None) -> tuple[int, int]:
        short, long = min(height, width), max(height, width)
        side = side or resolution
        longest = self.longest(resolution)
        # The same operations in the same order as the released code, which rounds here and cuts below.
        if long / short * side > longest:
            side = round(longest * float(short) / float(long))
        other = long if side == short else int(side * long / short)
        return (other, side) if width < height else (side, other)

    def largest(self, resolution: int) -> tuple[int, int]:
        return self.longest(resolution), self.longest(resolution)


def _five_to_three(resolution: int) -> int:
    """Pixels of the longer side in TubeDETR, which lists them for some resolutions and knows no others."""
    return 746 if resolution == 448 else round(resolution * 5 / 3)


SQUEEZED = "squeezed"
PROPORTIONAL = "proportional"
SQUARE = "square"
PADDED = "padded"
# By the names that configurations and checkpoints hold (`clip.sizing`): of TA-STVG and CG-STVG, STCAT, TubeDETR, and of
# the retrieval models.
SIZE_RULES: dict[str, SizeRule] = {
    SQUEEZED: Squeezed(),
    PROPORTIONAL: Proportional(lambda resolution: 720, resample_sharply),
    "five_to_three": Proportional(_five_to_three, resample_in_bytes),
    SQUARE: Square(),
}
# Boxes would not fit pictures that are padded, so grounding models have no such rule.
RETRIEVAL_SIZE_RULES: dict[str, SizeRule] = SIZE_RULES | {PADDED: Padded()}


def get_size_rule(name: str) -> SizeRule:
    """The rule with this name.

    Raises:
        InputError: there is none.
    """
    if not isinstance(name, str) or name not in RETRIEVAL_SIZE_RULES:
        raise InputError(f"unknown size rule {quoted(name)}; choose one of {', '.join(RETRIEVAL_SIZE_RULES)}")
    return RETRIEVAL_SIZE_RULES[name]
