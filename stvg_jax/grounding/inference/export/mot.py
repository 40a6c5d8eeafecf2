"""A results file of the MOTChallenge benchmarks: `frame, id, left, top, width, height, confidence, -1, -1, -1`.

Frames are counted from 1 there, and so are pixels: the corner of the picture is (1, 1).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stvg_jax.core.files import whole_file

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.tube import Tube

ENDING = "mot.txt"


def write(tube: Tube, path: Path) -> None:
    """Writes one track with the confidence 1."""
    frames, boxes = tube.answer_boxes()
    with whole_file(path) as file:
        for frame, (x1, y1, x2, y2) in zip(frames.tolist(), boxes.tolist(), strict=True):
            file.write(f"{frame + 1},1,{x1 + 1:.3f},{y1 + 1:.3f},{x2 - x1:.3f},{y2 - y1:.3f},1,-1,-1,-1\n")
