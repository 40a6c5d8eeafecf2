"""Attribute words of a sentence: how the things in it look, and how they move.

The released annotations have indices into lists of adjectives and verbs that were never published, so the words for
other data must be found. The possible parts of speech of a word, and its base forms, come from LemmInflect
(https://github.com/bjascob/LemmInflect, MIT): a wheel of 0.8 MB with a dictionary, in Python and NumPy. The taggers of
NLTK and spaCy download models; simplemma (19 MB, many languages) has no parts of speech. The part of speech of a word
in its sentence is decided here, by the words around it and by `data_pipeline.language.lexicon`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from stvg_jax.core.errors import missing_extra
from stvg_jax.data_pipeline.language.lexicon import (
    ADJECTIVES,
    ADVERBS,
    AUXILIARIES,
    BE,
    CLOTHES,
    COLOURS,
    DETERMINERS,
    NOUNS,
    NUMBERS,
    PERSONS,
    PLACES,
    PLURALS,
    POSSESSIVES,
    PREPOSITIONS,
    PRONOUNS,
    QUESTION,
    RELATIVES,
    VERBS,
)
from stvg_jax.data_pipeline.language.text import plain

_TOKEN = re.compile(r"[a-z]+(?:[-'][a-z]+)*|[,.;:?!]")
_T_SHIRT = re.compile(r"\b(t[- ]?shirts?|tees?)\b")
_BORDERS = frozenset(",.;:?!")
# Verbs of state: clothes are appearance, and being somewhere is not a motion.
_NO_MOTION = {"be", "have", "do", "wear", "dress", "clothe", "seem", "appear", "contain", "cloth", "color", "colour"}
# Adjectives of the lexicon for place, order or state, not for looks.
_OTHER_ADJECTIVES = """
    upper lower center second third fourth fifth last same opposite different whole own main near nearest leftmost
    rightmost topmost other single many best open closed dark light pale bright full empty hot cold hard strange foreign
    sick dead lame asleep awake drunk busy fancy wild clear
"""
_NO_APPEARANCE = PLACES | NUMBERS | set(_OTHER_ADJECTIVES.split())
_TOO_GENERAL = {"clothes", "clothing", "cloth", "clothe", "outfit", "attire", "garment", "costume"}
_HAIR = {"hair", "beard", "moustache", "ponytail", "braid", "bun"}
_SAME = {
    "gray": "grey",
    "colourful": "colorful",
    "golden": "gold",
    "mustache": "moustache",
    "pyjamas": "pajamas",
    "blonde": "blond",
    "colour": "color",
}
_STANDS_FOR_A_NOUN = PRONOUNS | RELATIVES | QUESTION


def attribute_words(sentence: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Appearance and motion words of a sentence, each in its base form and once, in the order of the sentence.

    Appearance: colours, patterns, sizes, ages, looks, hair, and kinds of clothes. Motion: verbs other than auxiliaries
    and verbs of state ("wear").

    Raises:
        InputError: LemmInflect is not installed.
    """
    tokens = _TOKEN.findall(_T_SHIRT.sub("t-shirt", plain(sentence).lower().replace("’", "'")))
    asks = any(token in ("does", "do", "did") for token in tokens)
    motion = [_motion(tokens, i, asks) for i in range(len(tokens))]
    appearance = [None if motion[i] else _appearance(tokens, i) for i in range(len(tokens))]
    return _once(appearance), _once(motion)


def _once(words: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if word))


@functools.cache
def _lemmas(word: str) -> dict[str, tuple[str, ...]]:
    """Base forms of a word, by its possible parts of speech ("VERB", "NOUN", "ADJ", "ADV", ...)."""
    try:
        from lemminflect import getAllLemmas
    except ImportError:
        raise missing_extra("data", "finding attribute words needs LemmInflect") from None
    return getAllLemmas(word)


def _at(tokens: Sequence[str], i: int) -> str:
    return tokens[i] if 0 <= i < len(tokens) else "."


def _singular(word: str) -> str:
    return PLURALS.get(word) or next(iter(_lemmas(word).get("NOUN", ())), word)


def _is_noun(word: str) -> bool:
    """True if the lexicon has the word as a noun, in the singular or the plural."""
    return word in NOUNS or _singular(word) in NOUNS


def _before(tokens: Sequence[str], i: int) -> str:
    """The last word before `i` that is not an adverb ("then", "slowly")."""
    j = i - 1
    while _at(tokens, j) in ADVERBS - {"there", "home"} or (_at(tokens, j).endswith("ly") and len(_at(tokens, j)) > 4):
        j -= 1
    return _at(tokens, j)


# ---- motion ----


def _motion(tokens: Sequence[str], i: int, asks: bool) -> str | None:
    word = tokens[i]
    if word in AUXILIARIES or word in PRONOUNS or word in _BORDERS:
        return None
    lemma = _verb_lemma(word)
    if lemma is None or lemma in _NO_MOTION:
        return None
    if word.endswith("ing") and lemma != word:
        is_verb = _is_ing_verb(tokens, i)
    elif word == lemma:
        is_verb = _is_base_verb(tokens, i, asks)
    elif word.endswith("s") and not word.endswith("ss"):
        is_verb = _is_third_person(tokens, i, lemma)
    else:
        is_verb = _is_past(tokens, i)
    return lemma if is_verb else None


def _verb_lemma(word: str) -> str | None:
    lemmas = _lemmas(word).get("VERB", ())
    return next((lemma for lemma in lemmas if lemma in VERBS), next(iter(lemmas), None))


def _is_ing_verb(tokens: Sequence[str], i: int) -> bool:
    before, after = _before(tokens, i), _at(tokens, i + 1)
    if tokens[i] in PREPOSITIONS - {"facing"} or tokens[i] in ("according", "including"):
        return False
    if _is_noun(tokens[i]):  # "is swimming", "a man painting"; but "a swimming pool", "the painting"
        return before in BE or (_is_noun(before) and (after in DETERMINERS or after in PREPOSITIONS))
    modifies = before in DETERMINERS or before in PREPOSITIONS
    return not modifies or after in DETERMINERS or after in PREPOSITIONS or _singular(after) in PERSONS


def _is_third_person(tokens: Sequence[str], i: int, lemma: str) -> bool:
    before, after = _before(tokens, i), _at(tokens, i + 1)
    if tokens[i] in CLOTHES or before in DETERMINERS - {"that", "this", "other", "another", "one"}:
        return False
    if lemma in VERBS and not _is_noun(tokens[i]):
        return True
    if lemma not in VERBS or before in PREPOSITIONS:
        return False
    if after in DETERMINERS or after in PRONOUNS:  # "the man in white watches the game"
        return True
    # "the man hands over a cup", "he watches from afar"; but "with white watches on"
    follows = _is_noun(before) or before in _STANDS_FOR_A_NOUN or before in PLACES or before in ("other", "and")
    return follows and (after in PREPOSITIONS or after == "and")


def _is_past(tokens: Sequence[str], i: int) -> bool:
    word, before, after = tokens[i], _before(tokens, i), _at(tokens, i + 1)
    if before in DETERMINERS or before in PREPOSITIONS or "-" in word:
        return False
    if word in ADJECTIVES:  # "who left the room"; but "on the left"
        return (before in _STANDS_FOR_A_NOUN or _is_noun(before)) and (after in DETERMINERS or after == "by")
    return not _is_noun(word) and (_verb_lemma(word) in VERBS or after in PREPOSITIONS)


def _is_base_verb(tokens: Sequence[str], i: int, asks: bool) -> bool:
    word, before, after = tokens[i], _before(tokens, i), _at(tokens, i + 1)
    # The dictionary has a verb for almost every noun ("to man", "to room"): only common verbs are taken in this form.
    if word not in VERBS or word in PREPOSITIONS or word in ADVERBS:
        return False
    if word in ADJECTIVES:  # "lean on"; but "a clean room", "the door is open"
        ends = after in PREPOSITIONS or (asks and after in _BORDERS)
        return ends and before not in DETERMINERS and (before not in BE or word == "lean")
    leads = after in DETERMINERS or after in PRONOUNS
    if before == "to" or before in AUXILIARIES - BE:
        return leads or not _is_noun(word)
    if before in DETERMINERS or before in PREPOSITIONS or (before in ADJECTIVES and before not in COLOURS | PLACES):
        return False
    ends = after in _BORDERS or after in PREPOSITIONS or after in ADVERBS
    if asks and ends and (_is_noun(before) or before in COLOURS | PLACES):
        return True  # "what does the child in green watch outdoors?"
    return not _is_noun(word) or (leads and _is_plural(before))


def _is_plural(word: str) -> bool:
    return word in PLURALS or (word.endswith("s") and _singular(word) != word) or word in ("they", "who", "and")


# ---- appearance ----


def _appearance(tokens: Sequence[str], i: int) -> str | None:
    word = tokens[i]
    if word in _NO_APPEARANCE or word in POSSESSIVES or word in PREPOSITIONS or word in ADVERBS:
        return None
    if word in ADJECTIVES or word in COLOURS:
        base = next(iter(_lemmas(word).get("ADJ", ())), word)  # "bigger": "big"
        base = _SAME.get(base, base)
        return None if base in _NO_APPEARANCE else base
    garment = word if word in CLOTHES else _singular(word)
    if garment in CLOTHES and garment not in _TOO_GENERAL:
        garment = _singular(garment) if _singular(garment) in CLOTHES else garment
        return _SAME.get(garment, garment)
    if _SAME.get(_singular(word), _singular(word)) in _HAIR:
        return _SAME.get(_singular(word), _singular(word))
    if re.fullmatch(r"[a-z]+-(haired|skinned|sleeved|dressed)", word):
        return word
    # Any other word that can only be an adjective and stands before a noun: "a spotted dog".
    attributive = _at(tokens, i - 1) in DETERMINERS | ADJECTIVES and _is_noun(_at(tokens, i + 1))
    kinds = set(_lemmas(word))
    return word if attributive and "ADJ" in kinds and not kinds & {"NOUN", "ADV"} else None
