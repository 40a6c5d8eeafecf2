"""Checkpoints by name: folders, and the one that comes with the library."""

from __future__ import annotations

import os
from pathlib import Path

from stvg_jax.core.arguments import check_path

BUILTIN = "builtin"
PURPOSE = (
    "the built-in checkpoint, which knows generated videos of moving shapes only (docs/shapes.md); for videos of "
    "people and things convert a released checkpoint: see `stvg-jax convert --help`"
)


def default_checkpoint() -> Path:
    """A small TA-STVG trained on generated videos of moving shapes; `README.md` beside it is its card.

    It reads lower-case sentences of about a hundred words, such as "the small red square that goes left".
    """
    return Path(__file__).parent / "default_checkpoint"


def find_checkpoint(checkpoint: str | os.PathLike[str] | None) -> Path:
    """The folder of a checkpoint: that of the built-in one for None and "builtin" ("./builtin" is a folder).

    Raises:
        InputError: what is no path.
    """
    if checkpoint is None or (isinstance(checkpoint, str) and checkpoint == BUILTIN):
        return default_checkpoint()
    return Path(check_path("checkpoint", checkpoint))
