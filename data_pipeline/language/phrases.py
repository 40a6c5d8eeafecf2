"""Ends of the phrases of an English sentence: see `data_pipeline.language.subject`.

A sentence is a list `t` of its words and marks in lower case; `i`, `j` and `k` are positions in it.
"""

from __future__ import annotations

from stvg_jax.data_pipeline.language.lexicon import (
    ACTIONS,
    ADVERBS,
    AUXILIARIES,
    CLOTHES,
    COLOURS,
    DETERMINERS,
    IRREGULAR_PASTS,
    PERSONS,
    PLACES,
    POSSESSIVES,
    PREPOSITIONS,
    PRONOUNS,
    QUESTION,
    THIRD,
)
from stvg_jax.data_pipeline.language.words import (
    at,
    is_adjective,
    is_adverb,
    is_border,
    is_label,
    is_noun,
    is_participle,
    is_possessive,
    is_verb_after_noun,
    leads_object,
    singular,
    starts_noun_phrase,
)

MAX_WORDS = 6


def noun_phrase_end(t: list[str], i: int) -> int:
    """End (one past the last word) of the noun phrase that starts at `i`; `i` if there is none."""
    j = i
    while _is_determiner(t, j, j > i):
        j += 1
    if j > i and at(t, j) == "of" and starts_noun_phrase(t, j + 1):
        return noun_phrase_end(t, j + 1)  # "one of the men"
    determined, noun = j > i, False
    start = j
    if determined and _stands_alone(t, j):
        return j
    while j < len(t) and _continues(t, j, j > start, determined, noun):
        if is_possessive(t[j]):
            noun, determined, start = False, True, j + 1
        elif t[j] not in ("and", ",") and not _modifies(t, j) and t[j][0] != "#":
            noun = True
        if is_label(t[j]) and (noun or (t[j][0] == "#" and not is_noun(at(t, j + 1)))):
            return j + 2 if is_label(at(t, j + 1)) else j + 1  # "player twenty three"
        j += 1
    if j == start and determined and t[j - 1] not in POSSESSIVES | {"a", "an", "the", "no", "every"}:
        return j  # "another", "both", "the other": determiners that stand alone
    return j if j > start else i


def _is_determiner(t: list[str], j: int, begun: bool) -> bool:
    """True if the word at `j` is a determiner, at the beginning of a noun phrase or, if `begun`, after others."""
    w, after = at(t, j), at(t, j + 1)
    if w not in DETERMINERS or (w in ("that", "no") and after in AUXILIARIES):
        return False
    return not (w == "that" and begun)  # "the one that barks"


def _stands_alone(t: list[str], j: int) -> bool:
    """True if the determiners before `j` are the whole phrase because a verb follows: "the one holding the cup"."""
    w, after = at(t, j), at(t, j + 1)
    if at(t, j - 1) == "one" and w in THIRD:
        return True
    if at(t, j - 1) in POSSESSIVES | {"a", "an", "the", "no", "every"} or is_noun(w) or is_adjective(w):
        return False
    if is_participle(w):  # but "those dancing children"
        return after in DETERMINERS or not (is_noun(after) or is_adjective(after))
    finite = w in THIRD or (w in ACTIONS and at(t, j - 1) != "one")
    return finite and w not in ADVERBS | PREPOSITIONS


def _modifies(t: list[str], i: int) -> bool:
    """True if the word at `i`, before any noun, is a modifier and not the noun."""
    w = t[i]
    if is_adjective(w) or is_adverb(w):
        return True
    return is_participle(w) and not (is_noun(w) and is_border(at(t, i + 1)))


def _continues(t: list[str], j: int, begun: bool, determined: bool, noun: bool) -> bool:
    """True if the word at `j` belongs to a noun phrase that has begun, has a determiner or has a noun, as given."""
    w = t[j]
    if w in ("and", ",") and begun and not noun:
        return is_adjective(at(t, j + 1)) or (w == "," and is_participle(at(t, j + 1)))
    if w == "and":
        # "a dog white and brown"
        return at(t, j - 1) in COLOURS and at(t, j + 1) in COLOURS
    if is_border(w) or (w in DETERMINERS and w not in ("one", "other")):
        return False
    if noun:
        if w in COLOURS or is_label(w):
            return True
        if is_adverb(w) or (is_adjective(w) and not is_noun(w)):
            return False
        return not is_verb_after_noun(t, j)
    if begun:
        verb = w in THIRD or w in IRREGULAR_PASTS
        bare_verb = w in ACTIONS and not starts_noun_phrase(t, j + 1) and not is_noun(w)  # "the elderly sit on"
        return is_adjective(w) or not (bare_verb or verb and (not is_noun(w) or leads_object(t, j)))
    return determined or not ((w in THIRD or w in ACTIONS) and not is_noun(w) and not is_adjective(w))


def _clothing_end(t: list[str], i: int) -> int:
    """End of "(the) dark red jacket", "black and white", "a hat" at `i`; `i` without a colour or a garment."""
    j, end, has_noun = i, i, False
    while at(t, j) in DETERMINERS:
        j += 1
    while j < len(t):
        w = t[j]
        garment = w in CLOTHES or singular(w) in CLOTHES
        if garment and not (has_noun and w in THIRD):
            end, has_noun = j + 1, True
        elif w in COLOURS or (is_adjective(w) and "-" in w):
            if has_noun and at(t, j - 1) != "and":
                break
            end = j + 1
        elif w in ("and", ",") and end == j:
            after = at(t, j + 1)
            if not (after in COLOURS or after in CLOTHES):
                break
        elif has_noun or not _leads_to_garment(t, j):
            break
        j += 1
    return end


def _leads_to_garment(t: list[str], j: int) -> bool:
    """True if a garment follows within two words of `j` ("school uniform")."""
    for k in range(j, min(j + 3, len(t))):
        if t[k] in CLOTHES or singular(t[k]) in CLOTHES:
            return True
        if is_border(t[k]) or t[k] in THIRD or t[k] in DETERMINERS:
            return False
    return False


def _place_end(t: list[str], i: int) -> int:
    """End of "the left (side)", "the far right" at `i`; `i` for a longer place ("the left of the sofa")."""
    j = i
    while at(t, j) in ("the", "far", "very"):
        j += 1
    start = j
    while at(t, j) in PLACES:
        j += 1
    longer = at(t, j) == "of" or (is_noun(at(t, j)) and t[j] not in THIRD)  # "the front row"
    return j if start < j and start > i and not longer else i


def _attribute_end(t: list[str], i: int) -> int:
    """End of the attribute that starts at `i`; `i` if there is none."""
    w = at(t, i)
    if w in ("in", "on", "at", "from"):
        place = _place_end(t, i + 1)
        if place > i + 1:
            return place
    if w == "wearing" or (w in ("dressed", "clad", "clothed") and at(t, i + 1) == "in"):
        return _after(i, i + (1 if w == "wearing" else 2), noun_phrase_end, t)
    if w == "in":
        return _after(i, i + 1, _clothing_end, t)
    if w == "with" and at(t, i + 1) not in POSSESSIVES:
        end = noun_phrase_end(t, i + 1)
        while at(t, end) == "and" and at(t, end + 1) not in ACTIONS and is_noun(at(t, end + 1)):
            end += 2  # "with a beard and glasses"
        company = end > i + 1 and (singular(t[end - 1]) in PERSONS)
        return i if company or end == i + 1 else end
    if w == "of":
        return _after(i, i + 1, noun_phrase_end, t)
    return i + 2 if w == "aged" and is_label(at(t, i + 1)) else i


def _after(i: int, start: int, find_end, t: list[str]) -> int:
    """The result of `find_end` from `start`; `i` if it finds nothing."""
    end = find_end(t, start)
    return end if end > start else i


def phrase_end(t: list[str], i: int) -> int:
    """End of the target's phrase at `i`; `i` if there is none."""
    w = at(t, i)
    if w in QUESTION:
        return _question_end(t, i)
    if w in PRONOUNS:
        return i + 1
    end = noun_phrase_end(t, i)
    if end == i:
        return i
    core = end
    while (longer := _attribute_end(t, end)) > end and longer - i <= MAX_WORDS:
        end = longer
    if end == core and at(t, end) == "and" and starts_noun_phrase(t, end + 1):
        second = noun_phrase_end(t, end + 1)
        if second > end + 1 and second - i <= MAX_WORDS:
            return second
    return end


def _question_end(t: list[str], i: int) -> int:
    after = at(t, i + 1)
    verb = after in THIRD or (after in ACTIONS and (not is_noun(after) or is_border(at(t, i + 2))))
    if t[i] in ("who", "whom") or is_adverb(after) or (t[i] == "what" and after in DETERMINERS):
        return i + 1
    if after == "of" and t[i] == "which":
        return max(i + 1, noun_phrase_end(t, i + 2))
    return i + 1 if verb else max(i + 1, noun_phrase_end(t, i + 1))
