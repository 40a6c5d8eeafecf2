"""Passes over a clip: its sampled frames, divided among the rows of a batch."""

from __future__ import annotations

import dataclasses

import numpy as np

# Number of passes of the released TA-STVG and CG-STVG.
TWO = 2


@dataclasses.dataclass(frozen=True)
class InterleavedPasses:
    """Passes that take turns over the sampled frames: the even and the odd positions, if there are two.

    Attributes:
        passes: number of passes, each a row of a batch.
    """

    passes: int = TWO

    @property
    def rows(self) -> int:
        """Largest number of rows of a batch for a clip."""
        return self.passes

    def split(self, frame_ids: np.ndarray) -> tuple[np.ndarray, ...]:
        """Sampled frames [n] of a clip, n >= 1 -> the frames of each pass; the first pass has the most.

        If there are fewer frames than passes, the passes left over get the first frame, so that none is empty.
        """
        ids = np.asarray(frame_ids)
        return tuple(ids[k :: self.passes] if k < len(ids) else ids[:1] for k in range(self.passes))


@dataclasses.dataclass(frozen=True)
class ConsecutiveParts:
    """One pass whose sampled frames are divided among rows one after another.

    Attributes:
        frames_at_once: frames of a row; the last one may have fewer. 0 for all, in one row.
        rows: largest number of rows of a batch for a clip.
    """

    frames_at_once: int = 0
    rows: int = 1

    @property
    def passes(self) -> int:
        """Number of passes."""
        return 1

    def split(self, frame_ids: np.ndarray) -> tuple[np.ndarray, ...]:
        """Sampled frames [n] of a clip, n >= 1 -> the frames of each row."""
        ids = np.asarray(frame_ids)
        length = self.frames_at_once or len(ids)
        return tuple(ids[start : start + length] for start in range(0, len(ids), length))
