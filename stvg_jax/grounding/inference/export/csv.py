"""A table with a row for each frame of the answer, for spreadsheets and pandas."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stvg_jax.core.characters import without_surrogates
from stvg_jax.core.files import whole_file
from stvg_jax.grounding.inference.tube_json import shortest

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.tube import Tube

ENDING = "csv"
COLUMNS = ("frame", "sec", "x1", "y1", "x2", "y2")


def write(tube: Tube, path: Path) -> None:
    """Writes the table in UTF-8, with times in seconds at the average rate.

    A text that begins like a formula is put behind an apostrophe, because spreadsheets would run it.
    """
    texts = [_cell(text) for text in (tube.video, tube.sentence, tube.subject)]
    with whole_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("video", "sentence", "subject", *COLUMNS))
        writer.writerows([*texts, *row] for row in rows(*tube.answer_boxes(), tube))


def rows(frames: np.ndarray, boxes_xyxy: np.ndarray, tube: Tube) -> Iterator[tuple[int | float, ...]]:
    """Rows of COLUMNS, for frames int64 [n] and boxes float32 [n, 4], with the fewest digits that tell floats apart."""
    for frame, box in zip(frames.tolist(), shortest(boxes_xyxy), strict=True):
        yield (frame, round(tube.even_seconds(frame), 6), *box)


def _cell(text: str) -> str:
    text = without_surrogates(text)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
