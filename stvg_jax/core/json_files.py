"""JSON from outside, with checks that `json` lacks: byte order marks, repeated keys, depth."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stvg_jax.core.errors import InputError, first_line, quoted


def read_json(path: Path) -> Any:
    """Value of a JSON file.

    Raises:
        InputError: the file is missing, is not text or not JSON, or repeats a key in an object.
    """
    text = read_text(path)
    try:
        return parse_json(text)
    except ValueError as error:
        raise not_json(path, error) from None


def read_text(path: Path) -> str:
    """Text of a JSON file without its byte order mark, in UTF-8 or the encoding that its first bytes show.

    Raises:
        InputError: the file is missing, or some of its bytes are not text.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    try:
        return _decoded(content)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path} is not a text file in {error.encoding.upper()}: byte {error.start} cannot be read "
            f"(0x{content[error.start : error.start + 1].hex()}, in line {line}); save the file in UTF-8"
        ) from None


def parse_json(text: str | bytes) -> Any:
    """Value of a JSON text.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or repeats a key in an object.
    """
    try:
        if isinstance(text, bytes):
            text = _decoded(text)
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def repeated(keys: Iterable[str]) -> list[str]:
    """Keys that occur more than once, in alphabetical order."""
    return sorted(key for key, count in collections.Counter(keys).items() if count > 1)


def not_json(path: Path, error: Exception) -> InputError:
    """Error about a file that could not be read because of `error`."""
    if isinstance(error, json.JSONDecodeError):
        wrong = error.msg if error.doc.strip() else "the file is empty"
        return InputError(f"{path} is not JSON at line {error.lineno}, column {error.colno}: {wrong}")
    return InputError(f"{path} cannot be read as JSON: {first_line(error)}")


def _decoded(content: bytes) -> str:
    return content.decode(json.detect_encoding(content)).removeprefix("\ufeff")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError(f"the key {quoted(repeated(key for key, _ in pairs)[0])} occurs twice in one object")
    return value
