"""An answer in the formats of other tools. A format is a module with ENDING and `write(tube, path)`."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from stvg_jax.core.arguments import check_path, check_str
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.grounding.inference.export import coco, csv, cvat, mot, via

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.tube import Tube

FORMATS: dict[str, ModuleType] = {"csv": csv, "mot": mot, "coco": coco, "cvat": cvat, "via": via}


def export(tube: Tube, path: str | os.PathLike[str], format: str) -> None:
    """Writes the frames and boxes of the answer's interval (`Tube.export`).

    Raises:
        InputError: the format is unknown, or the interval has no box.
    """
    if check_str("format", format) not in FORMATS:
        raise InputError(f"format {quoted(format)} is unknown; choose one of {', '.join(FORMATS)}")
    if not len(tube.answer_boxes()[0]):
        raise InputError("the answer's interval has no box to export; its scores are in tube.json")
    FORMATS[format].write(tube, Path(check_path("path", path)))


def file_name(format: str) -> str:
    """Name of an export in the folder of an answer."""
    return f"tube.{FORMATS[format].ENDING}"
