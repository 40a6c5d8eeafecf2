"""Experiment of the toy."""

from __future__ import annotations

import dataclasses

import ml_collections

from stvg_jax.eval.config import EvalConfig
from stvg_jax.retrieval.inputs import RetrievalDataConfig
from tests.retrieval.toy import CLIP, NAME, ToyConfig


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment."""
    sections = {"model": dataclasses.asdict(ToyConfig()), "clip": dataclasses.asdict(CLIP)}
    data = dataclasses.asdict(RetrievalDataConfig(dataset="msvd"))
    evaluation = dataclasses.asdict(EvalConfig(reranked=2, samples_per_device=2, benchmark="msvd"))
    return ml_collections.ConfigDict({"name": NAME, **sections, "data": data, "eval": evaluation}).lock()
