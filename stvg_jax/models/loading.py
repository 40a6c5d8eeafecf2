"""A checkpoint directory as a model that is ready to run."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.core import checkpoint
from stvg_jax.core.arguments import check_str
from stvg_jax.core.config import build
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.registry import build_config, get_family
from stvg_jax.core.tree import unflatten
from stvg_jax.family import Family
from stvg_jax.models.names import find_checkpoint
from stvg_jax.nn.functional import PureModule
from stvg_jax.runtime.tokenizer import Tokenizer

T = TypeVar("T")

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """What a checkpoint directory holds.

    Attributes:
        description: its `checkpoint.json`.
        module: the model.
        read_parameters: gives the parameters, path -> array; they are being read in the background.
        tokenizer: of the checkpoint.
        family: of the model.
        config: of the model (`Family.config`), with the step sizes of this machine.
        clip: how the model wants its clips (`Family.clip`).
        identity: all that distinguishes this model's programs from those of another, parameters apart; JSON.
    """

    description: checkpoint.Description
    module: PureModule
    read_parameters: Callable[[], Mapping[str, Any]]
    tokenizer: Tokenizer
    family: Family
    config: Any
    clip: Any
    identity: str


def load_model(
    directory: Path,
    *,
    dtype: str = "float32",
    model: Mapping[str, Any] | None = None,
    clip: Mapping[str, Any] | None = None,
) -> LoadedModel:
    """Loads a checkpoint directory, made by `stvg-jax convert` for example.

    Returns at once; damage found while the parameters are read is raised by `read_parameters`.

    Args:
        directory: the checkpoint.
        dtype: of the computation, "float32" or "bfloat16". Parameters stay float32.
        model, clip: settings to change in these sections of its configuration, as nested mappings.

    Raises:
        InputError: if the directory is not a checkpoint of a grounding model, or its parameters do not fit.
    """
    if check_str("dtype", dtype) not in DTYPES:
        raise InputError(f"dtype {quoted(dtype)} is unknown; choose one of {', '.join(DTYPES)}")
    description = checkpoint.describe(directory)
    if description.kind != "model":
        raise InputError(
            f"{directory} holds a part of a model to start training from ({quoted(description.note)}); it cannot ground"
        )
    if missing := {"model", "clip"} - set(description.config):
        raise InputError(f"{directory}: its configuration lacks {' and '.join(sorted(missing))}")
    for name in ("model", "clip"):
        if not isinstance(description.config[name], Mapping):
            raise InputError(f"{directory}: {name} of its configuration must be an object")
    parameters = in_background(lambda: checkpoint.read(directory, description))
    family = get_family(description.model)
    clip_config = build(family.clip, _updated(description.config["clip"], clip or {}), "config.clip")
    config = build_config(description.model, _updated(description.config["model"], model or {}))
    config = family.fit(config, clip_config)
    module = PureModule(family.model(config, dtype=DTYPES[dtype]))
    checkpoint.check(directory, description, module.declarations)
    return LoadedModel(
        description=description,
        module=module,
        read_parameters=parameters,
        tokenizer=Tokenizer(directory / checkpoint.TOKENIZER, family.text(config).max_tokens),
        family=family,
        config=config,
        clip=clip_config,
        identity=json.dumps([description.model, dataclasses.asdict(config), dtype], sort_keys=True),
    )


def load(checkpoint: str | os.PathLike[str] | None = None, *, dtype: str = "float32") -> nnx.Module:
    """The model of a checkpoint with its parameters on the device, to be called:

        model = stvg_jax.load("checkpoints/ta")
        output = jax.jit(lambda model, batch: model(batch))(model, GroundingBatch(frames, text_ids))

    `stvg_jax.Grounder` is the way from a video and a sentence to a tube.

    Args:
        checkpoint: the folder; None or "builtin" for the one that comes with the library.
        dtype: of the computation, "float32" or "bfloat16". Parameters stay float32.

    Raises:
        InputError: as `load_model`, or the parameters are damaged.
    """
    loaded = load_model(find_checkpoint(checkpoint), dtype=dtype)
    return loaded.module.bind(jax.device_put(unflatten(loaded.read_parameters())))


def _updated(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested mappings with some values replaced."""
    result = copy.deepcopy(dict(config))
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _updated(result[key], value) if nested else value
    return result


def in_background(work: Callable[[], T]) -> Callable[[], T]:
    """Starts `work` on a thread; the function returned waits for its result or raises its exception."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return functools.partial(future.result)
