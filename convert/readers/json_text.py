"""JSON out of files that nobody vouches for."""

from __future__ import annotations

import json
from typing import Any

from stvg_jax.errors import quoted


def read_json(data: bytes) -> Any:
    """The value that UTF-8 text, with or without a byte order mark, holds.

    Raises:
        ValueError: it is no JSON, nests too deep, or an object holds a key twice.
    """
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_object)
    except RecursionError as error:
        raise ValueError("it nests too deep") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out:
            raise ValueError(f"it holds the key {quoted(key)} twice")
        out[key] = value
    return out
