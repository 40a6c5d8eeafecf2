"""How frames are stored: their size and how they are compressed."""

from __future__ import annotations

import dataclasses

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.frames import model_size
from stvg_jax.data_pipeline.shards import jpeg


@dataclasses.dataclass(frozen=True)
class Settings:
    """What holds for every frame of a store.

    Attributes:
        height: rows of a stored frame; lower videos keep their size, and 0 keeps every video's size.
        quality: of the JPEG, 1 to 100.
        subsampling: of the JPEG's colours, "4:4:4" or "4:2:0".
    """

    height: int = 420
    quality: int = 95
    subsampling: str = "4:4:4"

    def __post_init__(self) -> None:
        if self.height < 0:
            raise InputError(f"height {self.height}: give the rows of a stored frame, or 0 for the size of the video")
        if not 1 <= self.quality <= 100:
            raise InputError(f"JPEG quality {self.quality}: give a whole number from 1 to 100 (95 by default)")
        if self.subsampling not in jpeg.SUBSAMPLINGS:
            raise InputError(f"subsampling {self.subsampling!r}; choose one of {', '.join(jpeg.SUBSAMPLINGS)}")

    def stored_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) in which a frame of this height and width is stored; never larger.

        Raises:
            InputError: as `data_pipeline.frames.model_size`.
        """
        if not self.height or height <= self.height:
            return height, width
        return model_size(height, width, self.height)

    def stored(self, picture: np.ndarray) -> bytes:
        """The JPEG that is stored of a frame, uint8 [h, w, 3] RGB.

        Raises:
            InputError: as `stored_size`.
        """
        image = jpeg.resized(picture, self.stored_size(*picture.shape[:2]))
        return jpeg.encode(image, self.quality, self.subsampling)
