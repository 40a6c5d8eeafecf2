"""Parameters that the released code does not save: made in a chosen way, or read from a file of numpy's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stvg_jax.convert.rules import Format
from stvg_jax.core.errors import InputError, first_line, quoted


@dataclasses.dataclass(frozen=True)
class Made:
    """Parameters that were made.

    Attributes:
        parameters: arrays by path.
        origins: the way by which each was made, or its file, by path.
        warnings: lines of text.
    """

    parameters: dict[str, np.ndarray]
    origins: dict[str, str]
    warnings: list[str]


def make_unsaved(
    fmt: Format, tensors: Mapping[str, Any], declared: Mapping[str, Any], values: Mapping[str, str], where: str
) -> Made:
    """Makes those of a format's unsaved parameters that a state dict lacks.

    Args:
        fmt: the format.
        tensors: the state dict, by the format's names.
        declared: declarations of the model's parameters, by path.
        values: chosen ways, or .npy files, by path.
        where: names the source in messages.

    Raises:
        InputError: a choice is for another parameter or for one that the source has, or is no way and no file with an
            array of the parameter's shape.
    """
    written = {path for rule in fmt.rules for path in rule.targets if any(map(rule.pattern.fullmatch, tensors))}
    lacking = {one.path: one for one in fmt.unsaved if one.path not in written}
    for path in values:
        if path not in lacking:
            known = f"it lacks {' and '.join(lacking)}" if lacking else "it lacks none that could be chosen"
            raise InputError(f"{where} needs no value for {quoted(path)}: {known}")
    made = Made({}, {}, [])
    for path, one in lacking.items():
        shape = tuple(declared[path].shape)
        choice = values.get(path, next(iter(one.values)))
        made.parameters[path] = one.values[choice](shape) if choice in one.values else _read(choice, path, shape, one)
        made.origins[path] = choice
        made.warnings.append(f"{path} is not in {where}: {choice} was taken. {one.warning}")
    return made


def _read(name: str, path: str, shape: tuple[int, ...], one: Any) -> np.ndarray:
    if not name.endswith(".npy"):
        ways = ", ".join(one.values)
        raise InputError(f"{path} cannot be {quoted(name)}; choose one of {ways}, or give a .npy file")
    try:
        with Path(name).open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{name} cannot be read as an array of numpy: {first_line(error)}") from error
    if array.shape != shape or array.dtype.kind != "f" or not np.isfinite(array).all():
        raise InputError(
            f"{name} holds an array {array.shape} of {array.dtype}; {path} needs finite numbers of the shape {shape}"
        )
    return array.astype(np.float32)
