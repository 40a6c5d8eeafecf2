"""Annotations of all datasets as one record type (docs/annotations.md). `data_pipeline.datasets` reads them."""

from __future__ import annotations

from stvg_jax.data_pipeline.annotations.problems import Problem, raise_problems
from stvg_jax.data_pipeline.annotations.records import (
    KINDS,
    Annotations,
    Caption,
    Excluded,
    Sample,
    VideoText,
    Vocabularies,
    require_captions,
    require_tubes,
)
from stvg_jax.data_pipeline.annotations.videos import VideoFacts, match_videos

__all__ = [
    "KINDS",
    "Annotations",
    "Caption",
    "Excluded",
    "Problem",
    "Sample",
    "VideoFacts",
    "VideoText",
    "Vocabularies",
    "match_videos",
    "raise_problems",
    "require_captions",
    "require_tubes",
]
