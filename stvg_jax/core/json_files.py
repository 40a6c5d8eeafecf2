"""Reading JSON that others wrote, with what `json` leaves out: byte order marks, keys given twice, limits."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stvg_jax.core.errors import InputError, first_line, quoted


def read_json(path: Path) -> Any:
    """The value of a whole JSON file.

    Raises:
        InputError: the file is missing, is no text, is not JSON, or gives a key twice in one object.
    """
    text = read_text(path)
    try:
        return parse_json(text)
    except ValueError as error:
        raise not_json(path, error) from None


def read_text(path: Path) -> str:
    """The text of a JSON file, in UTF-8 or in an encoding that its first bytes tell, without its byte order mark.

    Raises:
        InputError: the file is missing, or some bytes of it are no text.
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
    """The value of JSON text.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or gives a key twice in one object.
    """
    try:
        if isinstance(text, bytes):
            text = _decoded(text)
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("it nests too deep") from None


def repeated(keys: Iterable[str]) -> list[str]:
    """The keys that occur more than once, in alphabetical order."""
    return sorted(key for key, count in collections.Counter(keys).items() if count > 1)


def not_json(path: Path, error: Exception) -> InputError:
    """The message about a file in which reading ended with `error`."""
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
