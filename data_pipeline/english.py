"""Noticing sentences that are not in English: the models have read no other language.

A sentence is doubted when most of its letters are of another alphabet, when it has more articles of other languages
than English words, or when it has at least `_FEWEST` words and less than a third of them are English. English words are
those of `data_pipeline.lexicon`, which has the function words and what sentences about videos are made of. Libraries
that tell languages apart bring models of a megabyte and more, and are made for longer texts.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable

from data_pipeline import lexicon
from data_pipeline.grammar.words import is_adverb, is_noun, is_participle, singular
from data_pipeline.text import plain
from stvg_jax.errors import quoted

_FEWEST = 4
_WORD = re.compile(r"[^\W\d_]+")
# Articles of other languages that are no English words.
_ARTICLES = """
    el los las les une der das den dem ein eine einen einem einer il lo gli uno una di um uma du des het een ett det och
    und et y la le un de os na ang ng en
"""
_FOREIGN = frozenset(_ARTICLES.split())
_KNOWN = frozenset().union(*(words for words in vars(lexicon).values() if isinstance(words, frozenset)))


def is_english(sentence: str) -> bool:
    """Whether a sentence may be in English; a few words of names or numbers may be."""
    words = _WORD.findall(plain(sentence).lower())
    letters = "".join(words)
    latin = sum(map(_is_latin, letters))
    if 2 * latin < len(letters):
        return False
    known = sum(map(_is_known, words))
    foreign = sum(word in _FOREIGN for word in words)
    return foreign <= known and (len(words) < _FEWEST or 3 * known >= len(words))


def foreign_warning(sentences: Iterable[str]) -> str | None:
    """What to tell about the sentences among `sentences` that seem to be in another language; None without any."""
    sentences = list(sentences)
    foreign = [sentence for sentence in sentences if not is_english(sentence)]
    if not foreign:
        return None
    if len(sentences) == 1:
        return (
            f"the sentence {quoted(foreign[0])} does not look like English; the models have learned no other language"
        )
    return (
        f"{len(foreign):,} of {len(sentences):,} sentences do not look like English, such as {quoted(foreign[0])}; "
        "the models have learned no other language"
    )


@functools.cache
def _is_latin(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith("LATIN")


def _is_known(word: str) -> bool:
    return word in _KNOWN or singular(word) in _KNOWN or is_noun(word) or is_adverb(word) or is_participle(word)
