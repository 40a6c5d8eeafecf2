"""Annotations of HC-STVG, VidSTG and one's own videos as one record type: see docs/annotations.md."""

from __future__ import annotations

from stvg_jax.data_pipeline.annotations.problems import Problem, raise_problems
from stvg_jax.data_pipeline.annotations.read import DATASETS, read_annotations
from stvg_jax.data_pipeline.annotations.records import KINDS, Annotations, Excluded, Sample, Vocabularies
from stvg_jax.data_pipeline.annotations.videos import VideoFacts, check_against_videos, find_video_folder, match_videos

__all__ = [
    "DATASETS",
    "KINDS",
    "Annotations",
    "Excluded",
    "Problem",
    "Sample",
    "VideoFacts",
    "Vocabularies",
    "check_against_videos",
    "find_video_folder",
    "match_videos",
    "raise_problems",
    "read_annotations",
]
