"""Bodies of requests: JSON objects of known keys."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from stvg_jax.core.errors import InputError, first_line, quoted
from stvg_jax.core.json_files import parse_json
from stvg_jax.serve.limits import Refusal

# A sentence has at most a few bytes for each character.
_MOST_BYTES = 64_000


async def read_object(request: Request, noun: str, required: tuple[str, ...], optional: tuple[str, ...]) -> dict:
    """The JSON object in the body of a request.

    Args:
        request: the request.
        noun: name of the object in messages.
        required, optional: its keys.

    Raises:
        InputError: the body is something else, is too large, or has other keys.
    """
    parts: list[bytes] = []
    async for part in request.stream():
        parts.append(part)
        if sum(map(len, parts)) > _MOST_BYTES:
            raise Refusal(f"the {noun} has more than {_MOST_BYTES:,} bytes, the most that is taken", 413)
    try:
        values: Any = parse_json(b"".join(parts))
    except ValueError as error:
        raise InputError(f"the {noun} is not JSON: {first_line(error)}") from error
    if not isinstance(values, dict):
        shown = ", ".join(f'"{key}": ...' for key in required)
        raise InputError(f"the {noun} is not an object; write {{{shown}}}")
    keys = required + optional
    if unknown := [key for key in values if key not in keys]:
        raise InputError(f"the {noun} has a key {quoted(unknown[0], 40)}; it takes {', '.join(keys)}")
    if missing := [key for key in required if key not in values]:
        raise InputError(f"the {noun} has no {missing[0]}; give {' and '.join(required)}")
    return values
