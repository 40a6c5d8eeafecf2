"""The checkpoint that comes with the library."""

from __future__ import annotations

from pathlib import Path

PURPOSE = (
    "the built-in checkpoint, which knows generated videos of moving shapes only (docs/shapes.md); for videos of "
    "people and things convert a released checkpoint: see `stvg-jax convert --help`"
)


def default_checkpoint() -> Path:
    """A small TA-STVG trained on generated videos of moving shapes; `README.md` beside it is its card.

    It reads lower-case sentences of about a hundred words, such as "the small red square that goes left".
    """
    return Path(__file__).parent / "default_checkpoint"
