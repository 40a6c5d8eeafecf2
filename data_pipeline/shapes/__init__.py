"""The shapes dataset: generated videos of coloured shapes, with sentences about them (docs/shapes.md)."""

from stvg_jax.data_pipeline.shapes.example import Example, Grounding, Settings, make_example
from stvg_jax.data_pipeline.shapes.vocabulary import VERSION

__all__ = ["VERSION", "Example", "Grounding", "Settings", "make_example"]
