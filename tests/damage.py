"""JSON objects with one thing wrong, as flipped bits, other programs and hands leave them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

_OTHER_TYPES = (None, True, "x", 1.5, -1, [], {}, [[]])


def damaged_objects(content: dict[str, Any], optional: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """(what was done, JSON text) for every key of an object: a letter changed, left out, values of other types."""
    for key, value in content.items():
        others = {name: other for name, other in content.items() if name != key}
        if key not in optional:
            yield f"{key} has another letter", json.dumps({chr(ord(key[0]) ^ 1) + key[1:]: value} | others)
            yield f"{key} is missing", json.dumps(others)
        for other in _OTHER_TYPES:
            if type(other) is not type(value) and not (isinstance(value, float) and isinstance(other, int)):
                yield f"{key} is {other!r}", json.dumps(content | {key: other})
    for other in _OTHER_TYPES:
        if not isinstance(other, dict):
            yield f"it is {other!r}", json.dumps(other)
    yield "it is nested too deeply", "[" * 100_000


def cut_texts(text: str, step: int = 1) -> Iterator[tuple[str, str]]:
    """(what was done, the text) cut at every place but its ends."""
    for place in range(1, len(text.rstrip()), step):
        yield f"cut at {place}", text[:place]


def changed_texts(text: str, step: int = 1) -> Iterator[tuple[str, bytes]]:
    """(what was done, the bytes) with one bit flipped, at every place."""
    data = text.encode()
    for place in range(0, len(data), step):
        for bit in (1, 4, 128):
            yield f"bit {bit} of byte {place}", data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]


def without(content: dict[str, Any], *path: str) -> dict[str, Any]:
    """A copy of nested objects without the entry at a path."""
    result = copy.deepcopy(content)
    inner = result
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return result
