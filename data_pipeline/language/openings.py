"""Openings of a sentence, before it names its subject: see `data_pipeline.language.subject`."""

from __future__ import annotations

from collections.abc import Collection

from stvg_jax.data_pipeline.language.lexicon import (
    ACTIONS,
    ANSWERS,
    AUXILIARIES,
    BE,
    CLIP_LINKS,
    CLIPS,
    CONJUNCTIONS,
    DETERMINERS,
    EXACT,
    EXISTING,
    FOOTAGE,
    IMPERATIVES,
    ING,
    INSTANCES,
    IRREGULAR_PASTS,
    LEADING,
    MOMENTS,
    NAMING,
    NUMBERS,
    PAST,
    POLITE,
    PREPOSITIONS,
    PRONOUNS,
    QUESTION,
    RELATIVES,
    REQUEST_PARTICLES,
    SHOWING,
    SUBORDINATORS,
    THIRD,
)
from stvg_jax.data_pipeline.language.phrases import noun_phrase_end, phrase_end
from stvg_jax.data_pipeline.language.words import (
    at,
    is_adverb,
    is_label,
    is_noun,
    is_participle,
    is_word,
    starts_noun_phrase,
)


def skip_openings(t: list[str]) -> int:
    """Position of the subject's phrase, after all openings."""
    i = 0
    while (j := _opening_end(t, i)) > i:
        i = j
    return i if i < len(t) else 0


def _opening_end(t: list[str], i: int) -> int:
    """End (one past the last word) of the opening at `i`; `i` if the phrase itself begins there."""
    w, after = at(t, i), at(t, i + 1)
    if i >= len(t) or w in QUESTION:
        return i
    if not is_word(w) or (w in CONJUNCTIONS):
        return i + 1
    if w == "there" or w in ("here", "it", "this", "that", "these", "those") and after in BE:
        return _existential_end(t, i)
    if w in ("how", "where", "why") and after in AUXILIARIES | {"many", "much", "often", "long"}:
        return i + (3 if at(t, i + 2) == "times" else 2)
    if w in AUXILIARIES:
        return i + 1
    if (asked := _asking_end(t, i)) > i:
        return asked
    if w == "the" and after in FOOTAGE and at(t, i + 2) in SHOWING:
        return i + 3
    if (moment := max(_moment_end(t, i), _clips_end(t, i, CLIPS - {"picture", "image", "photo"}))) > i:
        return moment
    if w in IMPERATIVES and i == _leading_words(t):
        return _imperative_end(t, i)
    if w == "please":
        return i + 1
    if w in SUBORDINATORS and (clause := _clause_end(t, i)) > i:
        return clause
    if w in PREPOSITIONS and not (is_adverb(w) and after in DETERMINERS | {","}):
        return _fronted_place_end(t, i)
    if is_participle(w) and not is_noun(w) and (comma := _comma_end(t, i)) > i:
        return comma
    skippable = is_adverb(w) and (starts_noun_phrase(t, i + 1) or after in QUESTION | PRONOUNS or after == ",")
    return i + 1 if skippable else i


def _leading_words(t: list[str]) -> int:
    """Index of the first word that is not a mark and makes no request polite."""
    return next((k for k, w in enumerate(t) if is_word(w) and w not in POLITE), 0)


def _past_verbs(t: list[str], i: int) -> int:
    while i < len(t) and (t[i] in AUXILIARIES or t[i] in ACTIONS or t[i] in IRREGULAR_PASTS or is_adverb(t[i])):
        i += 1
    return i


def _asking_end(t: list[str], i: int) -> int:
    """End of words about the speaker, "we see", "I want to find", "I am looking for", "(could) you"; else `i`."""
    w = at(t, i)
    if w == "you" and at(t, i + 1) in IMPERATIVES | POLITE:
        return i + 1
    asks = w in ("i", "we", "you", "one")
    j = _past_verbs(t, i + 1) if asks else i
    if asks and at(t, j) == "to" and at(t, j + 1) in IMPERATIVES | ACTIONS:
        j = _past_verbs(t, j + 2)
    if asks and at(t, j) == "need":
        j += 1
    if at(t, j) in ("looking", "searching") and at(t, j + 1) == "for":
        return j + 2
    return j if asks and (at(t, j) in DETERMINERS or _clips_end(t, j, CLIPS) > j) else i


def _moment_end(t: list[str], i: int) -> int:
    """End of "the moment (when)", "the scene in which", "at which point" before a noun phrase; else `i`."""
    j = i
    if at(t, i) in PREPOSITIONS and at(t, i + 1) in ("what", "which") and at(t, i + 2) in MOMENTS:
        return i + 3
    while at(t, j) in EXACT and at(t, j + 1) in EXACT | MOMENTS:
        j += 1
    if at(t, j) not in MOMENTS:
        return i
    j += 1
    if at(t, j) in DETERMINERS - NUMBERS - {"that"} | PRONOUNS:  # "the moment the goalkeeper catches the ball"
        return j if _has_verb(t, j) else i
    if (
        t[j - 1] in ("moment", "instant")
        and at(t, j) not in RELATIVES
        and noun_phrase_end(t, j) > j
        and _has_verb(t, j)
    ):
        return j  # "the moment player 7 shoots"
    if at(t, j) in ("in", "of", "from") and at(t, j + 1) in ("the", "this") and at(t, j + 2) in FOOTAGE:
        j += 3
    while is_adverb(at(t, j)) or at(t, j) == "right":  # "right before", "just as"
        j += 1
    if at(t, j) in PREPOSITIONS and at(t, j + 1) == "which":
        j += 1
    if at(t, j) in SUBORDINATORS | {"that", "which"}:
        follows = starts_noun_phrase(t, j + 1) or at(t, j + 1) in PRONOUNS or is_label(at(t, j + 2))
        return j + 1 if follows and _has_verb(t, j + 1) else i
    return i


def _clips_end(t: list[str], i: int, nouns: Collection[str]) -> int:
    """End of "a clip of", "videos with", "all scenes showing" before a noun phrase; else `i`.

    Args:
        nouns: words for a part of the video.
    """
    j = i
    while at(t, j) in EXACT | DETERMINERS or at(t, j) == "bounding":
        j += 1
    joined = at(t, j) in nouns and at(t, j + 1) in CLIP_LINKS | ({"around", "for"} if t[j] in ANSWERS else set())
    return j + 2 if joined and (starts_noun_phrase(t, j + 2) or at(t, j + 2) in PRONOUNS) else i


def _has_verb(t: list[str], i: int) -> bool:
    """True if the word after the noun phrase or pronoun at `i` can be its verb."""
    after = at(t, i + 1 if t[i] in PRONOUNS else phrase_end(t, i))
    return is_word(after) and after not in CONJUNCTIONS and (after not in PREPOSITIONS or is_participle(after))


def _existential_end(t: list[str], i: int) -> int:
    """End of "there is", "there seems to be", "here comes" or a plain "there"."""
    j = i + 1
    while at(t, j) in AUXILIARIES or at(t, j) in THIRD | EXISTING or is_adverb(at(t, j)):
        j += 1
    return j


def _imperative_end(t: list[str], i: int) -> int:
    """End of "find", "show me", "look for", "detect and track", "go to" and "find clips of"; else `i`."""
    w, j = t[i], i + 1
    while at(t, j) in REQUEST_PARTICLES:
        j += 1
    again = j + 1 if at(t, j) in ("and", "or", ",") else j
    if at(t, again) in IMPERATIVES and (end := _imperative_end(t, again)) > again:
        return end
    if (clips := _clips_end(t, j, CLIPS | INSTANCES | ANSWERS)) > j:
        return clips
    if at(t, j) in DETERMINERS and at(t, j + 1) in FOOTAGE and at(t, j + 2) == "for":
        return j + 3  # "search the video for"
    if w in LEADING and _moment_end(t, j) == j and at(t, j) not in SUBORDINATORS:
        return i
    if w in NAMING and at(t, j) not in DETERMINERS | QUESTION | PRONOUNS:
        return i  # "box office clerk"
    if at(t, j) in ("when", "where", "how", "if") and starts_noun_phrase(t, j + 1):
        j += 1
    return j if starts_noun_phrase(t, j) or at(t, j) in QUESTION | MOMENTS else i


def _comma_end(t: list[str], i: int) -> int:
    """One past the first comma after `i` with a noun phrase, a pronoun or "there" behind it; `i` without one."""
    for k in range(i + 1, len(t) - 1):
        if t[k] == "," and (starts_noun_phrase(t, k + 1) or t[k + 1] in PRONOUNS | {"there"}):
            return k + 1
    return i


def _clause_end(t: list[str], i: int) -> int:
    """End of a subordinate clause at `i`: its comma, or a second noun phrase with a finite verb; `i` without either."""
    if (comma := _comma_end(t, i)) > i:
        return comma
    for k in range(noun_phrase_end(t, i + 1) + 1, len(t)):
        if t[k] in DETERMINERS | PRONOUNS and at(t, k - 1) not in PREPOSITIONS:
            end = phrase_end(t, k)
            if at(t, end) in THIRD | AUXILIARIES:
                return k
    return i


def _fronted_place_end(t: list[str], i: int) -> int:
    """End of a place, "in the kitchen (,)", and of a verb after it, "on the left of the sofa stands"; else `i`."""
    j = i
    while at(t, j) in PREPOSITIONS:
        while at(t, j) in PREPOSITIONS or at(t, j) in ("front", "top"):
            j += 1
        j = noun_phrase_end(t, j)
        if at(t, j) == "and" and starts_noun_phrase(t, j + 1):
            j = noun_phrase_end(t, j + 1)
    if at(t, j) == ",":
        return j + 1
    if at(t, j) in DETERMINERS | PRONOUNS | QUESTION | {"there"}:
        return j
    verbs = j
    while at(t, verbs) in AUXILIARIES or at(t, verbs) in THIRD | PAST | ING:
        verbs += 1
    if verbs > j and starts_noun_phrase(t, verbs):
        return verbs
    return _comma_end(t, i)
