"""Characters that text from outside may hold, and that a tokenizer, a terminal or a file cannot."""

from __future__ import annotations

import re
import reprlib
from typing import Any

from stvg_jax.core.errors import quoted

REPLACEMENT = "\ufffd"
# Halves of a pair in UTF-16. JSON can write one alone ("\ud83d", an emoji that was cut in two), and Python keeps the
# bytes of a command line that are no UTF-8 as others of them. No encoding can write them.
_SURROGATE = re.compile("[\ud800-\udfff]")


def has_surrogate(text: str) -> bool:
    """Whether `text` holds a lone surrogate, which is no character."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def without_surrogates(text: str) -> str:
    """`text` with U+FFFD in place of each lone surrogate."""
    return text if text.isascii() else _SURROGATE.sub(REPLACEMENT, text)


def escaped(text: str) -> str:
    """`text` on one line: what cannot be printed but for tabs is written as Python writes it in quotes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)


def one_line(text: str, limit: int = 120) -> str:
    """`text` as it may stand in a message without quotes: `escaped`, and cut to `limit` characters."""
    return escaped(text) if len(text) <= limit else f"{escaped(text[:limit])}..."


class _Short(reprlib.Repr):
    """Python's notation of the beginning of a value: lists and dictionaries in it may have any length and depth."""

    def __init__(self, limit: int):
        super().__init__()
        self.maxlevel, self.maxlist, self.maxtuple, self.maxdict, self.maxlong = 2, 6, 6, 3, limit
        self._limit = limit

    def repr_str(self, x: str, level: int) -> str:
        return quoted(x, self._limit)


def shown(value: Any, limit: int = 60) -> str:
    """A value out of a JSON file as it may stand in a message: its beginning, of `limit` characters."""
    return one_line(_Short(limit).repr(value), limit)
