"""Captions and questions as retrieval models read them (LAVIS: `processors/blip_processors.py`)."""

from __future__ import annotations

import re

MAX_WORDS = 50

_PUNCTUATION, _SPACES = re.compile(r'[.!"()*#:;~]'), re.compile(r"\s{2,}")


def caption_text(caption: str) -> str:
    """A caption in lower case, with spaces for the marks `. ! " ( ) * # : ; ~`, cut to the first 50 words.

    Two or more blanks become one space. The result may be empty.
    """
    text = _SPACES.sub(" ", _PUNCTUATION.sub(" ", caption.lower()))
    return _first_words(text.rstrip("\n").strip(" "))


def question_text(question: str) -> str:
    """A question in lower case without the marks that `caption_text` replaces, cut to the first 50 words.

    Unlike in a caption, the words on both sides of a mark are joined, and blanks stay as they are.
    """
    return _first_words(_PUNCTUATION.sub("", question.lower()).rstrip(" "))


def _first_words(text: str) -> str:
    return " ".join(text.split(" ")[:MAX_WORDS])
