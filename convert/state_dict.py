"""Conversion of a state dict into the parameters of a model, checked to be complete."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stvg_jax.convert.formats import check_format, formats_of, get_format, recognise
from stvg_jax.convert.names import NameSet, find_name_sets
from stvg_jax.convert.renaming import Converted, rename
from stvg_jax.convert.rules import Format
from stvg_jax.core.config import load_config_file
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.registry import FAMILIES, build_config, get_family

_DEFAULT_CONFIG = "ta_stvg_hcstvg1"
_MAX_PROBLEMS = 2_000  # lines of a refusal; the configuration of another size gives 1,500
_MAX_NAMED = 5
_CHUNK = 2**22


def convert_state_dict(
    tensors: Mapping[str, np.ndarray],
    *,
    format: str | None = None,
    config: Mapping[str, Any] | None = None,
    allow_nonfinite: bool = False,
) -> dict[str, np.ndarray]:
    """Renames and reshapes the tensors of a PyTorch state dict.

    Args:
        tensors: arrays by name; a prefix and the parts that training tools insert into names are ignored
            (see `convert.names`).
        format: one of `convert.formats.known_formats`; None for that of the configuration's model, or, without one,
            for that which the names tell.
        config: configuration of the model (see `configs/`), with `name` and a section `model`; None for that of the
            release.
        allow_nonfinite: also accept NaN and infinite values.

    Returns:
        Parameter path -> array, for `stvg_jax.core.tree.unflatten` and `PureModule.apply`.

    Raises:
        InputError: a tensor is neither used nor known to be useless, or a parameter of the model is not filled with a
            finite array of its shape. All such names are listed.
    """
    where = "the state dict"
    declared = None if config is None else declared_parameters(config)
    name = config["name"] if format is None and config is not None else format
    fmt = recognise(tensors, where) if name is None else get_format(name)
    found = find_name_sets(tensors, [fmt], where)
    if not found:
        check_format(fmt, tensors, where)
        raise InputError(f"{where} is not of format {fmt.name}: most of its tensors have other names")
    if len(found) > 1:
        prefixes = ", ".join(quoted(names.prefix) for names in found)
        raise InputError(f"{where} holds several models, whose names begin with {prefixes}; give the tensors of one")
    (names,) = found
    config = released_config(names.tensors, fmt) if config is None else config
    declared = declared_parameters(config) if declared is None else declared
    check_model(fmt, config, where)
    return convert_checked(names, declared, where=where, allow_nonfinite=allow_nonfinite).parameters


def declared_parameters(config: Mapping[str, Any]) -> dict[str, Any]:
    """Declarations of all parameters of a configuration's model, by path.

    Raises:
        InputError: the configuration lacks `name` or `model`, or its model is unknown.
    """
    if missing := {"name", "model"} - set(config):
        raise InputError(f"the configuration lacks {' and '.join(sorted(missing))}")
    return get_family(config["name"]).declarations(build_config(config["name"], config["model"]))


def check_model(fmt: Format, config: Mapping[str, Any], where: str) -> None:
    """Raises InputError if the format is of another model than the configuration."""
    if fmt.is_partial or fmt in formats_of(config["name"]):
        return
    model = next(name for name in FAMILIES if fmt in formats_of(name))
    raise InputError(f"{where} holds a {model} model, but the configuration is of {config['name']}; give a {model} one")


def convert_checked(
    names: NameSet,
    declared: Mapping[str, Any],
    *,
    where: str,
    elsewhere: Collection[str] = (),
    allow_nonfinite: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Converted:
    """Like `convert_state_dict`, with an account of what became of each tensor.

    Args:
        names: the tensors, which may be lazy, see `renaming.rename`.
        declared: see `declared_parameters`.
        where: names the source in messages.
        elsewhere: paths of parameters that come from elsewhere.
        allow_nonfinite: also accept NaN and infinite values.
        progress: called with each source name when it is done.

    Raises:
        InputError: see `convert_state_dict`.
    """
    fmt = names.format
    expected = {path: d for path, d in declared.items() if fmt.is_filled(path) and path not in elsewhere}
    shapes = {path: tuple(d.shape) for path, d in expected.items()}
    converted = rename(names.tensors, fmt, shapes=shapes, spelled=names.spelled, progress=progress)
    problems = converted.problems + _differences(converted, fmt, expected)
    if problems := problems + [f"+ unexpected {quoted(name)}" for name in names.unexpected]:
        shown = problems[:_MAX_PROBLEMS]
        if len(problems) > len(shown):
            shown.append(f"... and {len(problems) - len(shown):,} more")
        raise InputError(
            f"{where}, read as {fmt.name}, does not fit the model in {len(problems)} places:\n" + "\n".join(shown)
        )
    converted.dropped.update(names.beside)
    with np.errstate(over="ignore"):  # values too large for float32 become infinite, and are found next
        converted.parameters = {
            path: np.asarray(converted.parameters.pop(path), expected[path].dtype) for path in expected
        }
    converted.nonfinite = _nonfinite(converted)
    if converted.nonfinite and not allow_nonfinite:
        raise InputError(
            f"{where} holds {describe_nonfinite(converted.nonfinite)}; choose an earlier checkpoint, or convert it as "
            "it is with --allow-nonfinite (allow_nonfinite=True)"
        )
    return converted


def describe_nonfinite(nonfinite: Mapping[str, int]) -> str:
    """A short text about tensors with values that are not finite, given the number of such values by name."""
    named = [f"{quoted(name)} ({count:,})" for name, count in list(nonfinite.items())[:_MAX_NAMED]]
    more = f" and {len(nonfinite) - len(named)} more tensors" if len(nonfinite) > len(named) else ""
    return f"values that are not finite (NaN or infinity), as after a diverged training, in {', '.join(named)}{more}"


def _nonfinite(converted: Converted) -> dict[str, int]:
    """Numbers of values that are not finite as parameters, by the name in the file."""
    found: dict[str, int] = {}
    for name, paths in converted.taken.items():
        if count := sum(map(_count_nonfinite, (converted.parameters[path] for path in paths))):
            found[converted.spelled.get(name, name)] = count
    return found


def _count_nonfinite(values: np.ndarray) -> int:
    flat = values.reshape(-1)
    parts = (flat[at : at + _CHUNK] for at in range(0, flat.size, _CHUNK))
    return sum(part.size - int(np.count_nonzero(np.isfinite(part))) for part in parts)


def _differences(converted: Converted, fmt: Format, expected: Mapping[str, Any]) -> list[str]:
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
            name = converted.shown(source[path])
            lines.append(f"! {name} gives {path} the shape {found}; the model needs {shape}")
    lines += [f"- missing {name}, for {' and '.join(paths)}" for name, paths in missing.items()]
    lines += [
        f"+ unexpected {converted.shown(name)}, for {quoted(path)}"
        for path, name in source.items()
        if path not in expected
    ]
    return lines


def released_config(tensors: Mapping, fmt: Format) -> Mapping[str, Any]:
    """The configuration of the release that a state dict of this format belongs to."""
    return load_config_file(Path(_DEFAULT_CONFIG if fmt.release is None else fmt.release(tensors)))
