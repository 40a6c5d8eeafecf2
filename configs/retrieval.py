"""Common parts of the experiments of retrieval models."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import ml_collections

from stvg_jax.core.errors import InputError
from stvg_jax.core.registry import default_config, get_family
from stvg_jax.eval.config import EvalConfig
from stvg_jax.retrieval.inputs import RetrievalDataConfig


def experiment(
    arg: str, *, name: str, dataset: str, model: Mapping[str, Any], reranked: int = 32
) -> ml_collections.ConfigDict:
    """The configuration of an evaluation of a full-size model, locked.

    Args:
        arg: of `get_config`; must be empty.
        name: of the family.
        dataset: dataset with captions, for the format of annotations and the published figures; its folder in data/,
            and that of its frames in frames/.
        model: settings of the model that differ from the defaults.
        reranked: best answers to each query that are compared again.

    Raises:
        InputError: `arg` is not empty.
    """
    if arg:
        raise InputError(f"this configuration takes no argument, got {arg!r}")
    released_clip = get_family(name).released_clip
    assert released_clip is not None
    data = RetrievalDataConfig(dataset=dataset, annotations=f"data/{dataset}", frames=f"frames/{dataset}")
    config = ml_collections.ConfigDict(
        {
            "name": name,
            "model": default_config(name) | dict(model),
            "clip": dataclasses.asdict(released_clip(None)),
            "data": dataclasses.asdict(data),
            "eval": dataclasses.asdict(EvalConfig(benchmark=dataset, reranked=reranked)),
        }
    )
    return config.lock()
