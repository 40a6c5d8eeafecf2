"""Strict conversion between nested mappings (JSON, ml_collections) and configuration dataclasses."""

from __future__ import annotations

import ast
import contextlib
import copy
import dataclasses
import importlib
import importlib.util
import sys
import traceback
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stvg_jax.core.errors import InputError, first_line, quoted

if TYPE_CHECKING:
    import ml_collections
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

_MESSAGE_LENGTH = 200
_TYPES = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}
# The largest number of any setting; arrays can hold it.
_LARGEST = 2**31 - 1


def build(kind: type[T], values: Mapping[str, Any], path: str = "config") -> T:
    """Builds a configuration dataclass from a mapping.

    Args:
        kind: a dataclass whose fields are scalars, tuples of scalars or such dataclasses.
        values: field name -> value; fields that are absent keep their defaults.
        path: name of the mapping in messages.

    Raises:
        InputError: a key is unknown, or a value has another type or breaks the rule of its field.
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
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
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
    if option in (int, float) and isinstance(value, int | float) and not -_LARGEST <= value <= _LARGEST:
        shown = value if isinstance(value, float) or abs(value) < 10**40 else "huge"
        raise InputError(f"{path} is {shown}; it must be a finite number, of at most {_LARGEST}")
    if option is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, option) or (option is int and isinstance(value, bool)):
        raise InputError(f"{path} is {value!r}; it must be {_TYPES.get(option, option.__name__)}")
    return value


def _literal(text: str) -> Any:
    """Value of a Python literal, such as 3 or None; the text itself if it is not one."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _is_optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def load_config_file(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Runs `get_config` of a configuration file and returns its result as nested dictionaries.

    Args:
        path: the file; or the name of one of the library's own, such as "ta_stvg_hcstvg1" or
            "configs/ta_stvg_hcstvg1.py", where there is no such file. Text after a colon, as in
            "configs/shapes.py:pointing", is passed to `get_config`.
        overrides: settings to change, such as "--config.eval.dtype=bfloat16"; a value is parsed by the type of the one
            that it replaces.

    Raises:
        InputError: there is no such file; it has no `get_config` that returns a ConfigDict of JSON values; it raises
            an exception, which is told with its line; or an override has an unknown name or a value of another type.
    """
    import ml_collections

    name, _, arg = path.name.partition(":")
    if not name:
        raise InputError(f"configuration {str(path)!r} names no file; give a file, or a name such as ta_stvg_hcstvg1")
    path = _own_file(path.with_name(name))
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    if path.suffix != ".py" or spec is None or spec.loader is None:
        raise InputError(f"configuration {path} is not a Python file; write one like those in configs/")
    module = importlib.util.module_from_spec(spec)
    with _failures_told(path):
        spec.loader.exec_module(module)
        get_config = getattr(module, "get_config", None)
    if get_config is None:
        raise InputError(f"configuration {path} has no function get_config")
    with _failures_told(path):
        config = get_config(arg)
    if not isinstance(config, ml_collections.ConfigDict):
        raise InputError(f"configuration {path}: get_config must return a ConfigDict, not {type(config).__name__}")
    with _failures_told(path):
        values = _override(config, overrides).to_dict()
        _check_json(values, f"configuration {path}: config")
    return values


@contextlib.contextmanager
def _failures_told(path: Path) -> Iterator[None]:
    """Turns any exception of a configuration file into one line with the file, the line and the error."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        place, file = f"configuration {path}", str(path.absolute())
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        if isinstance(error, InputError) and not lines:  # about the overrides or the resulting values
            raise
        if isinstance(error, SyntaxError) and error.lineno:
            other = error.filename not in (None, file)
            place += f", {error.filename}, line {error.lineno}" if other else f", line {error.lineno}"
            text = error.msg
        else:
            place += f", line {lines[-1]}" if lines else ""
            text = _message(error)
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        raise InputError(f"{place}: {kind}{text}") from error


def _message(error: BaseException) -> str:
    """First line of the message of an exception from unknown code."""
    try:
        text = first_line(error)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return "without a readable message"
    return text if text.isprintable() and len(text) <= _MESSAGE_LENGTH else quoted(text, _MESSAGE_LENGTH)


def _check_json(value: Any, path: str) -> None:
    """Raises InputError for anything but JSON values; configurations are stored and compared as JSON."""
    if isinstance(value, dict):
        for key, part in value.items():
            if not isinstance(key, str):
                raise InputError(f"{path} has a key of type {type(key).__name__}; keys must be text")
            _check_json(part, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for i, part in enumerate(value):
            _check_json(part, f"{path}[{i}]")
    elif not isinstance(value, str | int | float | None):
        raise InputError(f"{path} is of type {type(value).__name__}; it must be a number, text, a list or a section")


def overridden(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Part of a loaded configuration that the overrides set, as nested dictionaries."""
    result: dict[str, Any] = {}
    for override in overrides:
        keys = override.partition("=")[0].removeprefix("--config.").split(".")
        target, source = result, config
        for key in keys[:-1]:
            target, source = target.setdefault(key, {}), source[key]
        target[keys[-1]] = source[keys[-1]]
    return result


def _own_file(path: Path) -> Path:
    """The file itself, or one of the library's own configurations, which are installed with it."""
    if path.is_file():
        return path
    folder = Path(importlib.import_module("stvg_jax.configs").__path__[0])
    own = folder / f"{path.stem}.py"
    if path.name == str(path) == path.stem and own.is_file():
        return own
    if path.is_dir():
        raise InputError(f"configuration {path} is a folder; give one of its files")
    if path.parent.name == folder.name and path.suffix == ".py" and own.is_file():
        print(f"{path} does not exist: using the library's own, {own}", file=sys.stderr)
        return own
    names = sorted(file.stem for file in folder.glob("*.py") if "def get_config" in file.read_text(encoding="utf-8"))
    raise InputError(f"configuration {path} does not exist; the library has {', '.join(names)}")


def _override(config: ml_collections.ConfigDict, overrides: Sequence[str]) -> ml_collections.ConfigDict:
    from absl import flags
    from ml_collections import config_flags

    unset: dict[str, Any] = {}
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals or not name.startswith("--config."):
            raise InputError(f"{quoted(override)} changes no setting; write --config.SECTION.KEY=VALUE")
        known: Any = config
        for depth, key in enumerate(keys := name.removeprefix("--config.").split(".")):
            if not isinstance(known, Mapping | type(config)) or key not in known:
                section = ".".join(["config", *keys[:depth]])
                has = f"has {', '.join(known)}" if hasattr(known, "keys") else "is a single value"
                asked = name.removeprefix("--")
                asked = asked if asked.isprintable() and len(asked) < 120 else quoted(asked)
                raise InputError(f"{asked} is unknown; {section} {has}")
            known = known[key]
        if known is None:
            unset[override] = _literal(text)
    # A setting that is None has no type to parse a flag by; the dataclass of its section checks the value.
    config = copy.deepcopy(config)
    config.update_from_flattened_dict(
        {name.removeprefix("--config.").partition("=")[0]: value for name, value in unset.items()}
    )
    values = flags.FlagValues()
    arguments = ["stvg-jax", *(override for override in overrides if override not in unset)]
    try:
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=arguments)
        values(arguments)
    except (flags.Error, TypeError, ValueError) as error:
        message = _message(error).removeprefix("flag --")
        raise InputError(f"{message}; give a value of the type it replaces") from error
    return values.config
