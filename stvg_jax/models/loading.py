"""Loading of checkpoints as models that are ready to run."""

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
from stvg_jax.nn.declare import PureModule
from stvg_jax.runtime.tokenizer import Tokenizer

T = TypeVar("T")

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


@dataclasses.dataclass(frozen=True)
class LoadedModel:
    """A model from a checkpoint, or from a running training.

    Attributes:
        description: content of `checkpoint.json`.
        module: the model as a pure function.
        read_parameters: returns the parameters, path -> array, when they have been read in the background.
        tokenizer: the model's tokenizer.
        family: the model's family.
        config: configuration of the model (`Family.config`), with the step sizes of this machine.
        clip: settings of the model's clips (`Family.clip`).
        identity: JSON text of everything apart from parameters that decides the model's programs.
    """

    description: checkpoint.Description
    module: PureModule
    read_parameters: Callable[[], Mapping[str, Any]]
    tokenizer: Tokenizer
    family: Family
    config: Any
    clip: Any
    identity: str

    @property
    def content(self) -> dict[str, Any]:
        """JSON values that decide the results: the model and checksums of its parameters."""
        return {
            "model": self.description.model,
            "config": self.description.config,
            "parameters": {path: entry["crc32"] for path, entry in self.description.parameters.items()},
        }


def load_model(
    directory: Path,
    *,
    dtype: str = "float32",
    model: Mapping[str, Any] | None = None,
    clip: Mapping[str, Any] | None = None,
) -> LoadedModel:
    """Loads a checkpoint, such as one made by `stvg-jax convert`.

    Returns before the parameters are read; `read_parameters` raises InputError if they turn out to be damaged.

    Args:
        directory: the checkpoint.
        dtype: dtype of the computation, "float32" or "bfloat16". Parameters stay float32.
        model, clip: settings to change in these sections of the configuration, as nested mappings.

    Raises:
        InputError: the folder is not a checkpoint of a model, or its parameters do not fit the model.
    """
    if check_str("dtype", dtype) not in DTYPES:
        raise InputError(f"dtype {quoted(dtype)} is unknown; choose one of {', '.join(DTYPES)}")
    description = checkpoint.describe(directory)
    if description.kind != "model":
        raise InputError(
            f"{directory} holds parameters to start a training from ({quoted(description.note)}), not a model; give "
            "another checkpoint"
        )
    if missing := {"model", "clip"} - set(description.config):
        raise InputError(f"{directory} is damaged: its configuration has no {' and no '.join(sorted(missing))}")
    for name in ("model", "clip"):
        if not isinstance(description.config[name], Mapping):
            raise InputError(f"{directory} is damaged: {name} of its configuration must be an object")
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
    """Loads the model of a checkpoint with its parameters on the device, ready to call:

        model = stvg_jax.load("checkpoints/ta")
        output = jax.jit(lambda model, batch: model(batch))(model, GroundingBatch(frames, text_ids))

    `stvg_jax.Grounder` takes a video and a sentence instead of arrays and returns a tube.

    Args:
        checkpoint: a folder, or a name that `find_checkpoint` knows, such as "ta_stvg_hcstvg1"; None or "builtin"
            for the checkpoint that comes with the library.
        dtype: dtype of the computation, "float32" or "bfloat16". Parameters stay float32.

    Raises:
        InputError: as `find_checkpoint` and `load_model`, or the parameters are damaged.
    """
    loaded = load_model(find_checkpoint(checkpoint), dtype=dtype)
    return loaded.module.bind(jax.device_put(unflatten(loaded.read_parameters())))


def _updated(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Copy of nested mappings with some values replaced."""
    result = copy.deepcopy(dict(config))
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _updated(result[key], value) if nested else value
    return result


def in_background(work: Callable[[], T]) -> Callable[[], T]:
    """Starts `work` on a thread. The returned function waits for its result, or raises its exception."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return functools.partial(future.result)
