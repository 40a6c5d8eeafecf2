"""Experiment of the toy."""

from __future__ import annotations

import dataclasses

import ml_collections

from tests.retrieval.toy import CLIP, NAME, ToyConfig


def get_config(arg: str = "") -> ml_collections.ConfigDict:
    """The experiment."""
    sections = {"model": dataclasses.asdict(ToyConfig()), "clip": dataclasses.asdict(CLIP)}
    data = {"dataset": "msvd", "annotations": "", "frames": ""}
    evaluation = {"reranked": 2, "samples_per_device": 2, "benchmark": "msvd"}
    return ml_collections.ConfigDict({"name": NAME, **sections, "data": data, "eval": evaluation}).lock()
