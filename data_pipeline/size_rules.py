"""Rules by which pictures are resized for a model."""

from __future__ import annotations

import abc
import dataclasses

from stvg_jax.core.constants import MAX_ASPECT
from stvg_jax.core.errors import InputError, quoted


class SizeRule(abc.ABC):
    """A way to resize pictures.

    Attributes:
        antialias: whether all pixels under a smaller one count, or only the two by two nearest.
    """

    antialias: bool

    @abc.abstractmethod
    def size(self, height: int, width: int, resolution: int) -> tuple[int, int]:
        """(height, width) of a picture of this height and width for a model of this resolution, all at least 1."""

    @abc.abstractmethod
    def largest(self, resolution: int) -> tuple[int, int]:
        """(rows, columns) that no picture exceeds."""


class Squeezed(SizeRule):
    """The height becomes the resolution; the width follows but is at most 1.4 times that, so wide pictures are
    squeezed. (TA-STVG, `datasets/transforms.py`.)"""

    antialias = True

    def size(self, height: int, width: int, resolution: int) -> tuple[int, int]:
        return resolution, min(int(resolution * (width / height)), int(resolution * MAX_ASPECT))

    def largest(self, resolution: int) -> tuple[int, int]:
        return resolution, max(1, int(resolution * MAX_ASPECT))


@dataclasses.dataclass(frozen=True)
class Proportional(SizeRule):
    """The shorter side becomes the resolution, or less where the longer one would exceed `longest`; proportions stay.
    (STCAT, `datasets/transforms.py`: `RandomResize`.)

    Attributes:
        longest: pixels of the longer side.
    """

    longest: int
    antialias = False

    def size(self, height: int, width: int, resolution: int) -> tuple[int, int]:
        short, long = min(height, width), max(height, width)
        side = resolution
        # The same operations in the same order as the released code, which rounds here and cuts below.
        if long / short * side > self.longest:
            side = round(self.longest * float(short) / float(long))
        other = long if side == short else int(side * long / short)
        return (other, side) if width < height else (side, other)

    def largest(self, resolution: int) -> tuple[int, int]:
        return self.longest, self.longest


SQUEEZED = "squeezed"
PROPORTIONAL = "proportional"
# By the names that configurations and checkpoints hold (`clip.sizing`).
SIZE_RULES: dict[str, SizeRule] = {SQUEEZED: Squeezed(), PROPORTIONAL: Proportional(longest=720)}


def get_size_rule(name: str) -> SizeRule:
    """The rule with this name.

    Raises:
        InputError: there is none.
    """
    if not isinstance(name, str) or name not in SIZE_RULES:
        raise InputError(f"unknown size rule {quoted(name)}; choose one of {', '.join(SIZE_RULES)}")
    return SIZE_RULES[name]
