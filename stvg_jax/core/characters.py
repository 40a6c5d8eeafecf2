"""Text from outside, made safe for tokenizers, terminals and files."""

from __future__ import annotations

import re
import reprlib
from typing import Any

from stvg_jax.core.errors import quoted

REPLACEMENT = "\ufffd"
# Lone surrogates: halves of a UTF-16 pair. JSON can hold one ("\ud83d", an emoji cut in two), and Python uses others
# for bytes of the command line that are not UTF-8. No encoding can write them.
_SURROGATE = re.compile("[\ud800-\udfff]")


def has_surrogate(text: str) -> bool:
    """True if `text` holds a lone surrogate."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def without_surrogates(text: str) -> str:
    """`text` with U+FFFD in place of each lone surrogate."""
    return text if text.isascii() else _SURROGATE.sub(REPLACEMENT, text)


def escaped(text: str) -> str:
    """`text` on one line: unprintable characters other than tabs are escaped as in a Python string."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str, limit: int = 120) -> str:
    """`text` for a message, without quotes: escaped, and cut to `limit` characters."""
    return escaped(text) if len(text) <= limit else f"{escaped(text[:limit])}..."


class _Short(reprlib.Repr):
    """Beginning of a value in Python's notation, bounded for lists and dictionaries of any length and depth."""

    def __init__(self, limit: int):
        super().__init__()
        self.maxlevel, self.maxlist, self.maxtuple, self.maxdict, self.maxlong = 2, 6, 6, 3, limit
        self._limit = limit

    def repr_str(self, x: str, level: int) -> str:
        return quoted(x, self._limit)


def shown(value: Any, limit: int = 60) -> str:
    """Value from a JSON file for a message, cut to `limit` characters."""
    return one_line(_Short(limit).repr(value), limit)
