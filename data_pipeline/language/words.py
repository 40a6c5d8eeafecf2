"""Classes of English words: by `lexicon` or, for words that it lacks, by their endings."""

from __future__ import annotations

import functools
import re

from stvg_jax.data_pipeline.language.lexicon import (
    ACTIONS,
    ADJECTIVES,
    ADVERBS,
    AUXILIARIES,
    CLOTHES,
    COLOURS,
    CONJUNCTIONS,
    DETERMINERS,
    ING,
    MODIFYING_PLURALS,
    NOUN_VERBS_THIRD,
    NOUNS,
    PARTICLES,
    PAST,
    PERSONS,
    PLURAL_AUXILIARIES,
    PLURALS,
    PREPOSITIONS,
    PRONOUNS,
    REFLEXIVES,
    RELATIVES,
    THIRD,
)


def is_word(token: str) -> bool:
    """True if the token is a word or a number, not a mark."""
    return token[0].isalnum() or token[0] == "_" or (token[0] == "#" and len(token) > 1)


def is_label(word: str) -> bool:
    """True if the word is a number that names one of several: "player 7", "player #7"."""
    return word.isdigit() or (word[0] == "#" and len(word) > 1)


def at(t: list[str], i: int) -> str:
    """The word or mark at `i`; "." beyond either end."""
    return t[i] if 0 <= i < len(t) else "."


@functools.cache
def singular(word: str) -> str:
    """The singular of a noun; other words stay the same."""
    if word in PLURALS:
        return PLURALS[word]
    for ending, replacement in (("ies", "y"), ("es", ""), ("s", "")):
        if word.endswith(ending) and word[: -len(ending)] + replacement in NOUNS:
            return word[: -len(ending)] + replacement
    return word


@functools.cache
def is_noun(word: str) -> bool:
    known = word in NOUNS or singular(word) in NOUNS
    return known or word.endswith(("man", "woman", "boy", "girl", "men", "women", "tion", "ness", "ist", "board"))


def _is_plural(word: str) -> bool:
    if word in PLURALS:
        return True
    return word.endswith("s") and not word.endswith(("ss", "us")) and (word in CLOTHES or singular(word) != word)


def is_possessive(word: str) -> bool:
    return word.endswith(("'s", "s'")) and len(word) > 2


def is_participle(word: str) -> bool:
    if word in ING or word in PAST:
        return True
    return word not in ACTIONS and len(word) > 4 and word.endswith(("ing", "ed")) and not word.endswith("eed")


def is_adverb(word: str) -> bool:
    return word in ADVERBS or (len(word) > 4 and word.endswith("ly") and word not in ADJECTIVES | NOUNS)


def is_adjective(word: str) -> bool:
    if word in ADJECTIVES or word.isdigit():
        return True
    if "-" in word:
        parts = word.split("-")
        return all(p in COLOURS for p in parts) or parts[-1] in ("haired", "aged", "sleeved", "eyed", "skinned", "old")
    return False


def is_border(word: str) -> bool:
    """True for a word (or mark) that no noun phrase contains."""
    return (
        not is_word(word)
        or word in AUXILIARIES
        or word in RELATIVES
        or word in CONJUNCTIONS
        or word in PRONOUNS
        or (word in PREPOSITIONS and word != "opposite")
    )


def starts_noun_phrase(t: list[str], i: int) -> bool:
    w = at(t, i)
    if w in DETERMINERS or is_possessive(w):
        return True
    return not is_border(w) and not is_adverb(w) and (is_noun(w) or is_adjective(w))


def leads_object(t: list[str], i: int) -> bool:
    """True if the word after `i` can follow a verb but rarely a noun: "watches the", "looks up"."""
    after = at(t, i + 1)
    return after in DETERMINERS | PRONOUNS | REFLEXIVES | PARTICLES or is_adverb(after)


def _is_verb_of(noun: str, verb: str) -> bool:
    """True if a verb has the stem of the noun before it: "the drummer drums", "the painters paint"."""
    many = _is_plural(noun) or noun.endswith("ers")
    stems = {verb} if many else {verb.removesuffix(ending) for ending in ("s", "es") if verb.endswith(ending)}
    actor = noun.removesuffix("s") if many else noun
    return any(len(stem) > 2 and re.fullmatch(rf"{stem.removesuffix('e')}.?(?:er|or|e)?", actor) for stem in stems)


def is_verb_after_noun(t: list[str], i: int) -> bool:
    """True if the word at `i`, which follows a noun, begins the predicate or a participle phrase."""
    before, w, after = at(t, i - 1), t[i], at(t, i + 1)
    leads = leads_object(t, i)
    if _is_verb_of(before, w) or (w in NOUN_VERBS_THIRD and singular(before) == before and before in PERSONS):
        return True
    plural_before = _is_plural(before) and before not in MODIFYING_PLURALS
    if w in THIRD:
        return not is_noun(w) or leads or not (plural_before or after in PLURAL_AUXILIARIES)
    if w in ACTIONS:
        return not is_noun(w) or plural_before or leads
    if is_participle(w):
        return not is_noun(w) or leads
    if is_noun(w):
        return leads and _is_plural(w) and not plural_before
    return leads or (w.endswith("s") and not w.endswith(("ss", "us")) and is_noun(before))
