"""From a state dict to the parameters of a model, checked to be complete."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from convert import rules
from convert.formats import check_format, get_format
from stvg_jax.errors import InputError

_DEFAULT_CONFIG = "ta_stvg_hcstvg1"


def convert_state_dict(
    tensors: Mapping[str, np.ndarray], *, format: str = "ta_stvg", config: Mapping[str, Any] | None = None
) -> dict[str, np.ndarray]:
    """Renames and reshapes the tensors of a PyTorch state dict.

    Args:
        tensors: name -> array; a `module.` prefix on all names is ignored.
        format: one of `convert.formats.FORMATS`.
        config: configuration of the model (see `configs/`), with `name` and a section `model`; None for that of the
            release.

    Returns:
        Parameter path -> array, for `stvg_jax.tree.unflatten` and `PureModule.apply`.

    Raises:
        InputError: unless every tensor is used or known to be useless, and every parameter of the model is filled
            with an array of its shape. All offenders are listed.
    """
    fmt = get_format(format)
    tensors = strip_module(tensors)
    check_format(fmt, tensors, "the state dict")
    config = published_config(tensors, fmt) if config is None else config
    declared = declared_parameters(config)
    check_model(fmt, config, "the state dict")
    return convert_checked(tensors, fmt, declared, where="the state dict").parameters


def declared_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """Path -> declaration of every parameter that the model of a configuration has.

    Raises:
        InputError: for a configuration without `name` or `model`, or of a model that there is not.
    """
    from stvg_jax.grounding.registry import make_model
    from stvg_jax.nn.functional import PureModule

    if missing := {"name", "model"} - set(config):
        raise InputError(f"the configuration lacks {' and '.join(sorted(missing))}")
    return PureModule(make_model(config["name"], config["model"], np.float32)).declarations


def check_model(fmt: rules.Format, config: Mapping[str, Any], where: str) -> None:
    """Raises InputError if a source of this format holds another model than the configuration's."""
    if not fmt.is_partial and config["name"] != fmt.name:
        raise InputError(
            f"{where} holds a model {fmt.name}, and the configuration is of {config['name']}; choose one of {fmt.name}"
        )


def convert_checked(
    tensors: Mapping,
    fmt: rules.Format,
    declared: Mapping[str, Any],
    *,
    where: str,
    progress: Callable[[str], None] | None = None,
) -> rules.Converted:
    """Like `convert_state_dict`, with an account of what became of each tensor.

    Args:
        tensors: may be lazy, see `rules.convert`.
        fmt: the format.
        declared: see `declared_parameters`.
        where: names the source in messages.
        progress: called with each source name when it is done.

    Raises:
        InputError: see `convert_state_dict`.
    """
    expected = {path: d for path, d in declared.items() if any(re.fullmatch(p, path) for p in fmt.fills)}
    converted = rules.convert(tensors, fmt, progress=progress)
    if problems := converted.problems + _differences(converted, fmt, expected):
        raise InputError(
            f"{where}, read as {fmt.name}, does not fit the model in {len(problems)} places:\n" + "\n".join(problems)
        )
    converted.parameters = {path: np.asarray(converted.parameters[path], expected[path].dtype) for path in expected}
    return converted


def _differences(converted: rules.Converted, fmt: rules.Format, expected: Mapping[str, Any]) -> list[str]:
    """A line for every parameter that is missing, unknown to the model or of another shape, in the source's names."""
    source = {path: name for name, paths in converted.taken.items() for path in paths}
    missing: dict[str, list[str]] = {}
    lines = []
    for path, declared in expected.items():
        shape = tuple(declared.shape)
        if path not in source:
            name = next(filter(None, (rule.source_of(path) for rule in fmt.rules)), "the source")
            missing.setdefault(name, []).append(f"{path} {shape}")
        elif path in converted.parameters and converted.parameters[path].shape != shape:
            found = converted.parameters[path].shape
            lines.append(f"! {source[path]} gives {path} the shape {found}; the model needs {shape}")
    lines += [f"- missing {name}, for {' and '.join(paths)}" for name, paths in missing.items()]
    lines += [f"+ unexpected {name}, for {path}" for path, name in source.items() if path not in expected]
    return lines


def strip_module(tensors: Mapping) -> Mapping:
    """Without the `module.` that PyTorch's DistributedDataParallel puts before every name."""
    prefix = "module."
    if tensors and all(name.startswith(prefix) for name in tensors):
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def published_config(tensors: Mapping, fmt: rules.Format) -> Mapping[str, Any]:
    """The configuration of the release that a state dict of this format belongs to."""
    import importlib

    name = _DEFAULT_CONFIG if fmt.release is None else fmt.release(tensors)
    return importlib.import_module(f"configs.{name}").get_config().to_dict()
