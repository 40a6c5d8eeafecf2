"""Recognition of sentences that are not in English, the only language that the models have learned.

A sentence is reported in three cases:

- More than a quarter of its words are in another alphabet.
- It has at least `_FEWEST` words, and less than a third of them are common in English or end like English verbs and
  plurals.
- Its words are far more common in another language than in English. Names belong to no language: one of these words
  must be in small letters, and words with a capital letter count half.

Frequencies of words come from wordfreq (https://github.com/rspeer/wordfreq, Apache 2.0), which has lists for 26 other
languages with Latin letters. Libraries that identify languages need longer texts: for two or three words, CLD2,
py3langid and lingua either miss half of the foreign ones or report many English ones with a name. Doubtful sentences
are taken for English here.
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from stvg_jax.core.errors import quoted
from stvg_jax.data_pipeline.language import lexicon
from stvg_jax.data_pipeline.language.text import plain
from stvg_jax.data_pipeline.language.words import is_adverb, is_noun, is_participle, singular

_FEWEST = 4
_LONGEST = 1000  # characters of a sentence that are examined
_ENGLISH_END = re.compile(r"(?:[b-df-hj-np-rtv-xz]s|(?:ch|sh)es)$")  # "tightens", "shallots", "scratches"
_WORD = re.compile(r"[^\W\d_]+")
# Within a name: "Jean de la Fontaine".
_PARTICLES = re.compile(r"\b([A-ZÀ-Þ]\w*)(?: (?:d[aeiu]|del|l[ae]|[ae]l|van|y))+(?= [A-ZÀ-Þ])")
_KNOWN = frozenset().union(*(words for words in vars(lexicon).values() if isinstance(words, frozenset)))
# Base-10 logarithms of occurrences in a billion words: of a common word, and of words that a list lacks. The large list
# of English ends at 1.0, the small ones of other languages at 3.0.
_COMMON, _ABSENT_IN_ENGLISH, _ABSENT = 3.0, 1.0, 2.0
# Powers of ten by which a word, and all words of a sentence together, must be more common in the other language.
_EVIDENCE = 2.0
# Largest lead of a word: of any, and of one in `lexicon`.
_MOST, _KNOWN_LEAD = 3.0, -0.5
_CAPITAL_WEIGHT = 0.5
# Languages of wordfreq that are not written in Latin letters.
_OTHER_LETTERS = lexicon.word_set("ar bg bn el fa he hi ja ko mk ru ta uk ur zh")


def is_english(sentence: str) -> bool:
    """True if a sentence may be in English; a few words of names or numbers may be."""
    words = _WORD.findall(plain(sentence[:_LONGEST]))
    if 4 * sum(not _is_latin(word[0]) for word in words) > len(words):
        return False
    if len(words) >= _FEWEST and 3 * sum(map(_is_likely, words)) < len(words):
        return False
    text = " ".join(words)
    words = (text.lower() if text.isupper() else _PARTICLES.sub(r"\1", text)).split()
    return all(map(_is_known, words)) or not any(_is_in(language, words) for language in _other_languages())


def foreign_warning(sentences: Iterable[str]) -> str | None:
    """Warning about the sentences that seem to be in another language; None if there are none."""
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
    word = word.lower()
    return word in _KNOWN or singular(word) in _KNOWN or is_noun(word) or is_adverb(word) or is_participle(word)


def _is_likely(word: str) -> bool:
    return _is_known(word) or _ENGLISH_END.search(word) is not None or _in_english(word) >= _COMMON


def _is_in(language: Mapping[str, float], words: Sequence[str]) -> bool:
    """True if the words are more likely in a language, given by its frequencies of words, than in English."""
    leads = [(word, _lead(word, language)) for word in words]
    if not any(lead >= _EVIDENCE and word[0].islower() for word, lead in leads):
        return False
    return sum(lead * (_CAPITAL_WEIGHT if lead > 0 and word[0].isupper() else 1) for word, lead in leads) >= _EVIDENCE


def _lead(word: str, language: Mapping[str, float]) -> float:
    """Powers of ten by which a word is more common in a language than in English, within bounds."""
    english, frequency = _in_english(word), language.get(word.casefold())
    lead = math.log10(frequency) + 9 - english if frequency else min(_ABSENT - english, 0)
    return max(min(lead, _KNOWN_LEAD if _is_known(word) else _MOST), -_MOST)


def _in_english(word: str) -> float:
    """Base-10 logarithm of how often a word occurs in a billion English ones."""
    frequency = _english().get(word.casefold())
    return math.log10(frequency) + 9 if frequency else _ABSENT_IN_ENGLISH


# Each of the two takes half a second to load; most sentences have only words of `lexicon` and need neither.
@functools.cache
def _english() -> Mapping[str, float]:
    from wordfreq import get_frequency_dict

    return get_frequency_dict("en", wordlist="large")


@functools.cache
def _other_languages() -> tuple[Mapping[str, float], ...]:
    """Frequencies of words, by word, in each language with Latin letters but English."""
    from wordfreq import available_languages, get_frequency_dict

    languages = sorted(available_languages("small").keys() - _OTHER_LETTERS - {"en"})
    return tuple(get_frequency_dict(language, wordlist="small") for language in languages)
