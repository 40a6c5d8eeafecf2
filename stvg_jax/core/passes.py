"""Passes over a clip: how its sampled frames are divided among the rows of an evaluation."""

from __future__ import annotations

import dataclasses

import numpy as np

# Of the released TA-STVG and CG-STVG.
TWO = 2


@dataclasses.dataclass(frozen=True)
class InterleavedPasses:
    """Passes that take turns over the sampled frames: of two, those at even positions and those at odd ones.

    Attributes:
        passes: rows of a batch for each question about a clip.
    """

    passes: int = TWO

    def split(self, frame_ids: np.ndarray) -> tuple[np.ndarray, ...]:
        """The sampled frames [n] of a clip, n >= 1 -> those of each pass, the first of which is the longest.

        Where there are fewer frames than passes, the first frame goes to those left over, so that none is empty.
        """
        ids = np.asarray(frame_ids)
        return tuple(ids[k :: self.passes] if k < len(ids) else ids[:1] for k in range(self.passes))
