"""From a state dict to the parameters of a model, checked to be complete."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from convert import rules
from convert.formats import get_format
from stvg_jax.tree import check_same_parameters

# Every format here fills (a part of) this model.
_MODEL = "ta_stvg"
_CONFIGS = {(15, 60): "ta_stvg_hcstvg1", (20, 34): "ta_stvg_vidstg"}
_DEFAULT_CONFIG = "ta_stvg_hcstvg1"


def convert_state_dict(
    tensors: Mapping[str, np.ndarray], *, format: str = "ta_stvg", config: Mapping[str, Any] | None = None
) -> dict[str, np.ndarray]:
    """Renames and reshapes the tensors of a PyTorch state dict.

    Args:
        tensors: name -> array; a `module.` prefix on all names is ignored.
        format: one of `convert.formats.FORMATS`.
        config: configuration of the model (see `configs/`), with a section `model`; None for that of the release.

    Returns:
        Parameter path -> array, for `stvg_jax.tree.unflatten` and `PureModule.apply`.

    Raises:
        InputError: unless every tensor is used or known to be useless, and every parameter of the model is filled
            with an array of its shape. All offenders are listed.
    """
    fmt = get_format(format)
    tensors = strip_module(tensors)
    config = published_config(tensors) if config is None else config
    return convert_checked(tensors, fmt, config, where="the state dict").parameters


def convert_checked(
    tensors: Mapping, fmt: rules.Format, config: Mapping[str, Any], *, where: str, progress: Callable | None = None
) -> rules.Converted:
    """Like `convert_state_dict`, with an account of what became of each tensor; `tensors` may be lazy."""
    from stvg_jax.grounding.registry import make_model
    from stvg_jax.nn.functional import PureModule

    declared = PureModule(make_model(config["name"], config["model"], np.float32)).declarations
    expected = {path: d for path, d in declared.items() if any(re.fullmatch(p, path) for p in fmt.fills)}
    converted = rules.convert(tensors, fmt, where=where, progress=progress)
    check_same_parameters(converted.parameters, expected, f"{where}, read as {fmt.name},")
    wrong = [path for path, value in converted.parameters.items() if not np.issubdtype(value.dtype, np.floating)]
    if wrong:
        raise rules.InputError(f"{where} holds values that are not floating point for {', '.join(wrong)}")
    converted.parameters = {path: np.asarray(converted.parameters[path], expected[path].dtype) for path in expected}
    return converted


def strip_module(tensors: Mapping) -> Mapping:
    """Without the `module.` that PyTorch's DistributedDataParallel puts before every name."""
    prefix = "module."
    if tensors and all(name.startswith(prefix) for name in tensors):
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def published_config(tensors: Mapping) -> Mapping[str, Any]:
    """The configuration of the release that a state dict belongs to, told by its attribute vocabularies."""
    import importlib

    heads = ("s_spatial_clas.head.bias", "t_spatial_clas.head.bias")
    words = tuple(int(tensors[h].shape[0]) for h in heads if h in tensors and len(tensors[h].shape) == 1)
    name = _CONFIGS.get(words, _DEFAULT_CONFIG)
    return importlib.import_module(f"configs.{name}").get_config().to_dict()
