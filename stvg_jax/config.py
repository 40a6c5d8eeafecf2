"""Strict conversion between nested mappings (JSON, ml_collections) and configuration dataclasses."""

from __future__ import annotations

import dataclasses
import importlib.util
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stvg_jax.errors import InputError, first_line

if TYPE_CHECKING:
    import ml_collections

T = TypeVar("T")


def build(kind: type[T], values: Mapping[str, Any], path: str = "config") -> T:
    """Makes a dataclass from a mapping.

    Args:
        kind: a dataclass whose fields are scalars, tuples of scalars or further dataclasses.
        values: field name -> value; absent fields keep their default.
        path: names the mapping in messages.

    Raises:
        InputError: for an unknown key, with the known ones, or a value of another type or outside its rule.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{path} is {values!r}; it must be a mapping")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    built = {}
    for key, value in values.items():
        if key not in fields:
            raise InputError(f"{path}.{key} is unknown; {path} has {', '.join(fields)}")
        built[key] = _convert(hints[key], value, f"{path}.{key}")
    try:
        return kind(**built)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def _convert(hint: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return build(hint, value, path)
    options = [o for o in typing.get_args(hint) if o is not type(None)] if _is_optional(hint) else [hint]
    if value is None and _is_optional(hint):
        return None
    (option,) = options
    if typing.get_origin(option) is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{path} is {value!r}; it must be a list")
        kind, *others = typing.get_args(option)
        if others != [...] and len(value) != 1 + len(others):
            raise InputError(f"{path} is {value!r}; it must have {1 + len(others)} values")
        return tuple(_convert(kind, v, f"{path}[{i}]") for i, v in enumerate(value))
    if option is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, option) or (option is int and isinstance(value, bool)):
        raise InputError(f"{path} is {value!r}; it must be a {option.__name__}")
    return value


def _is_optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def load_config_file(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Runs `get_config` of a configuration file and returns its result as nested dictionaries.

    Args:
        path: of the file, or the bare name of one of the project's own, such as "ta_stvg_hcstvg1"; what follows a
            colon, as in "configs/shapes.py:pointing", is handed to `get_config`.
        overrides: such as "--config.eval.dtype=bfloat16"; values are parsed by the type of what they replace.

    Raises:
        InputError: if there is no such file, it has no `get_config` that returns a ConfigDict, or an override names
            nothing in it or has a value of another type.
    """
    import ml_collections

    name, _, arg = path.name.partition(":")
    path = _own_file(path.with_name(name))
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"configuration {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_config"):
        raise InputError(f"configuration {path} has no function get_config")
    config = module.get_config(arg)
    if not isinstance(config, ml_collections.ConfigDict):
        raise InputError(f"configuration {path}: get_config must return a ConfigDict, not a {type(config).__name__}")
    return _override(config, overrides).to_dict()


def overridden(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """The part of a loaded configuration that overrides have set, as nested dictionaries."""
    result: dict[str, Any] = {}
    for override in overrides:
        keys = override.partition("=")[0].removeprefix("--config.").split(".")
        target, source = result, config
        for key in keys[:-1]:
            target, source = target.setdefault(key, {}), source[key]
        target[keys[-1]] = source[keys[-1]]
    return result


def _own_file(path: Path) -> Path:
    """The file itself, or that of a bare name in the project's `configs`, which is installed with it."""
    if path.is_file():
        return path
    import configs

    folder = Path(configs.__path__[0])
    own = folder / f"{path.name}.py"
    if path.name == str(path) and own.is_file():
        return own
    names = sorted(file.stem for file in folder.glob("*.py") if "def get_config" in file.read_text(encoding="utf-8"))
    raise InputError(f"configuration {path} does not exist; the project's are in configs/: {', '.join(names)}")


def _override(config: ml_collections.ConfigDict, overrides: Sequence[str]) -> ml_collections.ConfigDict:
    from absl import flags
    from ml_collections import config_flags

    for override in overrides:
        name, equals, _ = override.partition("=")
        if not equals or not name.startswith("--config."):
            raise InputError(f"{override!r} sets nothing; write --config.SECTION.KEY=VALUE")
        known: Any = config
        for depth, key in enumerate(keys := name.removeprefix("--config.").split(".")):
            if not isinstance(known, Mapping | type(config)) or key not in known:
                section = ".".join(["config", *keys[:depth]])
                has = f"has {', '.join(known)}" if hasattr(known, "keys") else "is a single value"
                raise InputError(f"{name.removeprefix('--')} is unknown; {section} {has}")
            known = known[key]
    values = flags.FlagValues()
    arguments = ["stvg-jax", *overrides]
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=arguments)
        values(arguments)
    except (flags.Error, TypeError, ValueError) as error:
        message = first_line(error).removeprefix("flag --")
        raise InputError(f"{message}; give a value of the type it replaces") from error
    return values.config
