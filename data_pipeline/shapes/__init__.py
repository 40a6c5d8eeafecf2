"""The shapes dataset: videos of moving, changing, appearing and vanishing shapes, and sentences about them.

docs/shapes.md describes it.
"""

from stvg_jax.data_pipeline.shapes.example import Example, Grounding, Settings, make_example
from stvg_jax.data_pipeline.shapes.vocabulary import VERSION

__all__ = ["VERSION", "Example", "Grounding", "Settings", "make_example"]
