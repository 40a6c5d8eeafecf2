"""The phrase that names the target of a sentence, found with a small grammar of English and no parser.

TA-STVG reads "subject + sentence". The released annotations have the subject, other annotations and questions do not.
The grammar below covers the English of grounding queries (VidSTG, HC-STVG): one target, named early, in plain words.

    sentence   := opening* phrase rest
    opening    := adverb | conjunction | "there is" | "we see" | "the video shows" | "find" | auxiliary
                | "the moment" ["when"]                   and similar words, before a clause
                | preposition noun-phrase [","]          In the kitchen, ...  /  Behind the sofa sits ...
                | subordinator ... ","                    When the door opens, ...
                | participle ... ","                      Holding a cup, ...
    phrase     := "who" | ("what" | "which" | "whose") [noun-phrase] | pronoun
                | noun-phrase attribute* | noun-phrase "and" noun-phrase
    noun-phrase:= determiner* modifier* noun+ [number] colour*   | "the one" and similar words
                                                          modifiers: adjectives, participles, adverbs, possessives
    attribute  := "in" (colour | clothing) | ("wearing" | "dressed in") noun-phrase | "with" noun-phrase
                | "of" noun-phrase | "on the left" and similar words

An attribute or a second noun is taken completely or left out, so that the phrase has at most `MAX_WORDS` words.
Relative clauses, other participles ("a dog chased by ...") and places ("the man in the car") never belong to it.

A word after a noun may be a verb ("the man watches") or another noun ("the baby seat"). This is decided by the verbs
and nouns of `data_pipeline.language.lexicon`, number agreement, the next words and, for unknown words, their endings.
"""

from __future__ import annotations

import re

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.data_pipeline.language.lexicon import ACTIONS, ADJECTIVES, AGES, CARDINALS, DETERMINERS, THIRD
from stvg_jax.data_pipeline.language.openings import skip_openings
from stvg_jax.data_pipeline.language.phrases import MAX_WORDS, noun_phrase_end, phrase_end
from stvg_jax.data_pipeline.language.text import check_text, plain
from stvg_jax.data_pipeline.language.words import at, is_adjective, is_noun, is_word, singular

_CONTRACTED_IS = re.compile(r"\b(what|who|which|there|here|where|it|that|he|she)['’]s\b", re.IGNORECASE)
_QUOTED = re.compile(r"(?<!\w)['’](\w[^'’]*)['’](?!\w)")
_LETTER = r"[\w\u0300-\u036f]"
_TOKEN = re.compile(rf"\b[Nn][or]\.(?=\s?\d)|#\d+|{_LETTER}+(?:['’/\-]{_LETTER}+)*(?:['’](?=\s))?|[^\w\s]")


def find_subject(sentence: str) -> str:
    """The phrase that names the target of `sentence`: its words, in their order and case, `MAX_WORDS` at most.

    "There is a white dog chased by two kids." gives "a white dog", "In the hall, the woman in red sits down" gives
    "the woman in red", "Who holds the child?" gives "Who". A sentence the grammar cannot read gives its first noun
    phrase, or failing that its first words. The answer depends on nothing but the sentence.

    Raises:
        InputError: the sentence has no word in it, or half of a character.
    """
    check_text(sentence, "the sentence")
    sentence = _QUOTED.sub(r'"\1"', plain(sentence))
    tokens = _TOKEN.findall(_CONTRACTED_IS.sub(r"\1 is", sentence))
    if not any(is_word(t) for t in tokens):
        raise InputError(f"the sentence {quoted(sentence)} has no words; give one such as 'the man in red sits down'")
    t = _simplified([token.lower().replace("’", "'") for token in tokens])
    first = skip_openings(t)
    last = phrase_end(t, first)
    if last == first:
        first, last = _first_noun_phrase(t)
    return " ".join(_shorten(tokens[first:last], t[first:last]))


def _simplified(t: list[str]) -> list[str]:
    """The words as the grammar reads them: "player 0" for "player seven", "a 3 old old boy" for "a 3 year old boy"."""
    simple = list(t)
    for i, w in enumerate(t):
        if i and w in CARDINALS and _is_label(simple, i):
            simple[i] = "0"
        if i and w in AGES and at(t, i + 1) == "old" and (simple[i - 1].isdigit() or t[i - 1] in CARDINALS):
            simple[i] = "old"
    return simple


def _is_label(t: list[str], i: int) -> bool:
    """True if the number at `i` names one of several: "number seven", "player seven shoots", "player twenty three"."""
    before, after = t[i - 1], at(t, i + 1)
    if before == "number" or (before == "0" and t[i] != "0"):
        return True
    counts = after == "of" or ((is_noun(after) or is_adjective(after)) and after not in THIRD)
    return is_noun(before) and singular(before) == before and before not in ADJECTIVES and not counts


def _shorten(words: list[str], lower: list[str]) -> list[str]:
    """At most `MAX_WORDS` words: the determiner and the last ones, which hold the noun."""
    kept = [(w, l) for w, l in zip(words, lower, strict=True) if is_word(w)]
    if len(kept) > MAX_WORDS:
        kept = [kept[0], *kept[1 - MAX_WORDS :]] if kept[0][1] in DETERMINERS else kept[-MAX_WORDS:]
    return [w for w, _ in kept]


def _first_noun_phrase(t: list[str]) -> tuple[int, int]:
    """For a sentence without a subject ("walks to the door"): its first noun phrase, else its first words."""
    for i in range(len(t)):
        if t[i] in DETERMINERS or (is_noun(t[i]) and t[i] not in THIRD | ACTIONS):
            end = noun_phrase_end(t, i)
            if end > i:
                return i, end
    words = [k for k, w in enumerate(t) if is_word(w)][:MAX_WORDS]
    return words[0], words[-1] + 1
