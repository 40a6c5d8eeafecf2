"""Names of checkpoints: folders, and the one that comes with the library."""

from __future__ import annotations

import os
from pathlib import Path

from stvg_jax.core.arguments import check_path

BUILTIN = "builtin"
PURPOSE = (
    "the built-in checkpoint, which knows only generated videos of moving shapes (docs/shapes.md); for videos of "
    "people and things, convert a released checkpoint: see `stvg-jax convert --help`"
)


def default_checkpoint() -> Path:
    """Folder of a small TA-STVG that was trained on generated videos of moving shapes; its `README.md` describes it.

    It knows about a hundred lower-case words, as in "the small red square that goes left".
    """
    return Path(__file__).parent / "default_checkpoint"


def find_checkpoint(checkpoint: str | os.PathLike[str] | None) -> Path:
    """Folder of a checkpoint; None and "builtin" stand for the built-in one ("./builtin" is a folder).

    Raises:
        InputError: the value is not a path.
    """
    if checkpoint is None or (isinstance(checkpoint, str) and checkpoint == BUILTIN):
        return default_checkpoint()
    return Path(check_path("checkpoint", checkpoint))
