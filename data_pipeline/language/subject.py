"""Finding the phrase that names the target of a sentence, with a small grammar of English and no parser.

TA-STVG reads "subject + sentence"; the released annotations carry the subject, a video of one's own does not. The
grammar below covers the English of grounding queries (VidSTG, HC-STVG): one target, named early, in plain words.

    sentence   := opening* phrase rest
    opening    := adverb | conjunction | "there is" | "we see" | "the video shows" | "find" | auxiliary
                | "the moment" ["when"]                   and its like, before a clause
                | preposition noun-phrase [","]          In the kitchen, ...  /  Behind the sofa sits ...
                | subordinator ... ","                    When the door opens, ...
                | participle ... ","                      Holding a cup, ...
    phrase     := "who" | ("what" | "which" | "whose") [noun-phrase] | pronoun
                | noun-phrase attribute* | noun-phrase "and" noun-phrase
    noun-phrase:= determiner* modifier* noun+ [number] colour*   | "the one" and its like
                                                          modifiers: adjectives, participles, adverbs, possessives
    attribute  := "in" (colour | clothing) | ("wearing" | "dressed in") noun-phrase | "with" noun-phrase
                | "of" noun-phrase | "on the left" and its like

An attribute or a second noun is taken whole or left out, so that the phrase has at most `MAX_WORDS` words; relative
clauses, other participles ("a dog chased by ...") and places ("the man in the car") never belong to it.

Whether a word after a noun is a verb ("the man watches") or one more noun ("the baby seat") is decided by the verbs and
nouns of `data_pipeline.language.lexicon`, by number agreement, by what follows, and for unknown words by their endings.
"""

from __future__ import annotations

import re

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.data_pipeline.language.lexicon import ACTIONS, DETERMINERS, THIRD
from stvg_jax.data_pipeline.language.openings import skip_openings
from stvg_jax.data_pipeline.language.phrases import MAX_WORDS, noun_phrase_end, phrase_end
from stvg_jax.data_pipeline.language.text import check_text, plain
from stvg_jax.data_pipeline.language.words import is_noun, is_word

_CONTRACTED_IS = re.compile(r"\b(what|who|which|there|here|where|it|that|he|she)['’]s\b", re.IGNORECASE)
_QUOTED = re.compile(r"(?<!\w)['’](\w[^'’]*)['’](?!\w)")
_CARDINALS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = {word: str(number) for number, word in enumerate(_CARDINALS, start=1)}
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
        raise InputError(f"The sentence {quoted(sentence)} has no words; give one such as 'the man in red sits down'")
    t = _with_digits([token.lower().replace("’", "'") for token in tokens])
    first = skip_openings(t)
    last = phrase_end(t, first)
    if last == first:
        first, last = _first_noun_phrase(t)
    return " ".join(_shorten(tokens[first:last], t[first:last]))


def _with_digits(t: list[str]) -> list[str]:
    """The words with a digit for that of "number seven", which tells one of several as "number 7" does."""
    return [_DIGITS.get(w, w) if k and t[k - 1] == "number" else w for k, w in enumerate(t)]


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
