"""Noticing sentences that are not in English: the models have read no other language.

A sentence is doubted when over a quarter of its words are of another alphabet, when it has more words that only other
languages have (articles, prepositions, words in small letters with accents) than English ones, or when it has at least
`_FEWEST` words and less than a third of them are English or end as English verbs and plurals do. English words are
those of `lexicon`, which has the function words and what sentences about videos are made of. Libraries that tell
languages apart bring models of a megabyte and more, and are made for longer texts.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable

from stvg_jax.core.errors import quoted
from stvg_jax.data_pipeline.language import lexicon
from stvg_jax.data_pipeline.language.text import plain
from stvg_jax.data_pipeline.language.words import is_adverb, is_noun, is_participle, singular

_FEWEST = 4
_ENGLISH_END = re.compile(r"(?:[b-df-hj-np-rtv-xz]s|(?:ch|sh)es)$")  # "tightens", "shallots", "scratches"
_WORD = re.compile(r"[^\W\d_]+")
# Articles, prepositions and conjunctions of other languages that are no English words.
_FOREIGN_WORDS = """
    el los las les une der das den dem ein eine einen einem einer il lo gli uno una di um uma du des het een ett det och
    und et y la le un de os na ang ng en con del hacia por al em mit auf zum zur ist avec dans sur au aux est op naar
"""
_FOREIGN = frozenset(_FOREIGN_WORDS.split())
_KNOWN = frozenset().union(*(words for words in vars(lexicon).values() if isinstance(words, frozenset)))


def is_english(sentence: str) -> bool:
    """Whether a sentence may be in English; a few words of names or numbers may be."""
    words = _WORD.findall(plain(sentence))
    if 4 * sum(not _is_latin(word[0]) for word in words) > len(words):
        return False
    known = sum(map(_is_known, words))
    foreign = sum(map(_is_foreign, words))
    likely = known + sum(not _is_known(word) and _ENGLISH_END.search(word) is not None for word in words)
    return foreign <= known and (len(words) < _FEWEST or 3 * likely >= len(words))


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


def _is_foreign(word: str) -> bool:
    """Whether a word is one of another language: "niña", but no name ("González") and no word known in English."""
    has_accent = not word.isascii() and word[0].islower()
    return word.lower() in _FOREIGN or (has_accent and not _is_known(word))


def _is_known(word: str) -> bool:
    word = word.lower()
    return word in _KNOWN or singular(word) in _KNOWN or is_noun(word) or is_adverb(word) or is_participle(word)
