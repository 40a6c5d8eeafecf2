"""Spatio-temporal video grounding in JAX: from a video and a sentence to a tube of boxes; and search in many videos.

    from stvg_jax import Grounder

    tube = Grounder.load("checkpoints/ta").ground("video.mp4", "the man in blue who stands up", start=10, end=30)

Importing this package does not import JAX or a video decoder; its names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stvg_jax.core.errors import InputError
    from stvg_jax.grounding.inference.grounder import Grounder
    from stvg_jax.grounding.inference.tube import FrameScores, Tube
    from stvg_jax.models.loading import load
    from stvg_jax.retrieval.inference.index import Hit, Index

__version__ = "0.2.0"

_MODULES = {
    "FrameScores": "stvg_jax.grounding.inference.tube",
    "Grounder": "stvg_jax.grounding.inference.grounder",
    "Hit": "stvg_jax.retrieval.inference.index",
    "Index": "stvg_jax.retrieval.inference.index",
    "InputError": "stvg_jax.core.errors",
    "Tube": "stvg_jax.grounding.inference.tube",
    "load": "stvg_jax.models.loading",
}

__all__ = ["FrameScores", "Grounder", "Hit", "Index", "InputError", "Tube", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
