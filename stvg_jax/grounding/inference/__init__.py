"""From a checkpoint, a video and a sentence to a tube, and to pictures of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stvg_jax.grounding.inference.many import ground_each
from stvg_jax.grounding.inference.queries import Query
from stvg_jax.grounding.inference.tube import FrameScores, Moment, Tube

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.grounder import Grounder

__all__ = ["FrameScores", "Grounder", "Moment", "Query", "Tube", "ground_each"]


def __getattr__(name: str) -> Any:
    # Reading and drawing a tube does not need JAX, which the model imports.
    if name == "Grounder":
        from stvg_jax.grounding.inference.grounder import Grounder

        return Grounder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
