"""Finding the phrase that names the target of a sentence, with a small grammar of English and no parser.

TA-STVG reads "subject + sentence"; the released annotations carry the subject, a video of one's own does not. The
grammar below covers the English of grounding queries (VidSTG, HC-STVG): one target, named early, in plain words.

    sentence   := opening* phrase rest
    opening    := adverb | conjunction | "there is" | "we see" | "the video shows" | "find" | auxiliary
                | preposition noun-phrase [","]          In the kitchen, ...  /  Behind the sofa sits ...
                | subordinator ... ","                    When the door opens, ...
                | participle ... ","                      Holding a cup, ...
    phrase     := "who" | ("what" | "which" | "whose") [noun-phrase] | pronoun
                | noun-phrase attribute* | noun-phrase "and" noun-phrase
    noun-phrase:= determiner* modifier* noun+ colour*     modifiers: adjectives, participles, adverbs, possessives
    attribute  := "in" (colour | clothing) | ("wearing" | "dressed in") noun-phrase | "with" noun-phrase
                | "of" noun-phrase | "on the left" and its like

An attribute or a second noun is taken whole or left out, so that the phrase has at most `MAX_WORDS` words; relative
clauses, other participles ("a dog chased by ...") and places ("the man in the car") never belong to it.

Whether a word after a noun is a verb ("the man watches") or one more noun ("the baby seat") is decided by the verbs and
nouns of `data_pipeline.lexicon`, by number agreement, by what follows, and for unknown words by their endings.
"""

from __future__ import annotations

import functools
import re

from data_pipeline.lexicon import (
    ADJECTIVES,
    ADVERBS,
    AUXILIARIES,
    BE,
    CLOTHES,
    COLOURS,
    CONJUNCTIONS,
    DETERMINERS,
    EXISTING,
    FOOTAGE,
    IMPERATIVES,
    ING,
    IRREGULAR_PASTS,
    MODIFYING_PLURALS,
    NOUNS,
    PARTICLES,
    PAST,
    PERSONS,
    PLACES,
    PLURAL_AUXILIARIES,
    PLURALS,
    POSSESSIVES,
    PREPOSITIONS,
    PRONOUNS,
    QUESTION,
    RELATIVES,
    SHOWING,
    SUBORDINATORS,
    THIRD,
    VERBS,
)
from stvg_jax.errors import InputError

MAX_WORDS = 6

_CONTRACTED_IS = re.compile(r"\b(what|who|which|there|here|where|it|that|he|she)['’]s\b", re.IGNORECASE)
_TOKEN = re.compile(r"\w+(?:['’/\-]\w+)*(?:['’](?=\s))?|[^\w\s]")


def find_subject(sentence: str) -> str:
    """The phrase that names the target of `sentence`: its words, in their order and case, `MAX_WORDS` at most.

    "There is a white dog chased by two kids." gives "a white dog", "In the hall, the woman in red sits down" gives
    "the woman in red", "Who holds the child?" gives "Who". A sentence the grammar cannot read gives its first noun
    phrase, or failing that its first words. The answer depends on nothing but the sentence.

    Raises:
        InputError: the sentence has no word in it.
    """
    tokens = _TOKEN.findall(_CONTRACTED_IS.sub(r"\1 is", sentence))
    if not any(_is_word(t) for t in tokens):
        raise InputError(f"The sentence {sentence!r} has no words; give one such as 'the man in red sits down'")
    t = [token.lower().replace("’", "'") for token in tokens]
    first = _skip_openings(t)
    last = _phrase_end(t, first)
    if last == first:
        first, last = _first_noun_phrase(t)
    return " ".join(_shorten(tokens[first:last], t[first:last]))


def _is_word(token: str) -> bool:
    return token[0].isalnum() or token[0] == "_"


def _at(t: list[str], i: int) -> str:
    return t[i] if 0 <= i < len(t) else "."


def _shorten(words: list[str], lower: list[str]) -> list[str]:
    """At most `MAX_WORDS` words: the determiner and the last ones, which hold the noun."""
    kept = [(w, l) for w, l in zip(words, lower, strict=True) if _is_word(w)]
    if len(kept) > MAX_WORDS:
        kept = [kept[0], *kept[1 - MAX_WORDS :]] if kept[0][1] in DETERMINERS else kept[-MAX_WORDS:]
    return [w for w, _ in kept]


# ---- words ----


@functools.cache
def _singular(word: str) -> str:
    if word in PLURALS:
        return PLURALS[word]
    for ending, replacement in (("ies", "y"), ("es", ""), ("s", "")):
        if word.endswith(ending) and word[: -len(ending)] + replacement in NOUNS:
            return word[: -len(ending)] + replacement
    return word


@functools.cache
def _is_noun(word: str) -> bool:
    known = word in NOUNS or _singular(word) in NOUNS
    return known or word.endswith(("man", "woman", "boy", "girl", "men", "women", "tion", "ness", "ist", "board"))


def _is_plural(word: str) -> bool:
    if word in PLURALS:
        return True
    return word.endswith("s") and not word.endswith(("ss", "us")) and (word in CLOTHES or _singular(word) != word)


def _is_possessive(word: str) -> bool:
    return word.endswith(("'s", "s'")) and len(word) > 2


def _is_participle(word: str) -> bool:
    if word in ING or word in PAST:
        return True
    return len(word) > 4 and word.endswith(("ing", "ed")) and not word.endswith("eed")


def _is_adverb(word: str) -> bool:
    return word in ADVERBS or (len(word) > 4 and word.endswith("ly") and word not in ADJECTIVES | NOUNS)


def _is_adjective(word: str) -> bool:
    if word in ADJECTIVES or word.isdigit():
        return True
    if "-" in word:
        parts = word.split("-")
        return all(p in COLOURS for p in parts) or parts[-1] in ("haired", "aged", "sleeved", "eyed", "skinned", "old")
    return False


def _is_border(word: str) -> bool:
    """True for a word (or mark) that no noun phrase contains."""
    return (
        not _is_word(word)
        or word in AUXILIARIES
        or word in RELATIVES
        or word in CONJUNCTIONS
        or word in PRONOUNS
        or (word in PREPOSITIONS and word != "opposite")
    )


def _starts_noun_phrase(t: list[str], i: int) -> bool:
    w = _at(t, i)
    if w in DETERMINERS or _is_possessive(w):
        return True
    return not _is_border(w) and not _is_adverb(w) and (_is_noun(w) or _is_adjective(w))


def _leads_object(t: list[str], i: int) -> bool:
    """Whether what follows the word at `i` can follow a verb but hardly a noun: "watches the", "looks up"."""
    after = _at(t, i + 1)
    return after in DETERMINERS or after in PRONOUNS or after in PARTICLES or _is_adverb(after)


def _is_verb_after_noun(t: list[str], i: int) -> bool:
    """Whether the word at `i`, which follows a noun, begins the predicate or a participle phrase."""
    before, w, after = _at(t, i - 1), t[i], _at(t, i + 1)
    leads_object = _leads_object(t, i)
    plural_before = _is_plural(before) and before not in MODIFYING_PLURALS
    if w in THIRD:
        return not _is_noun(w) or leads_object or not (plural_before or after in PLURAL_AUXILIARIES)
    if w in VERBS:
        return not _is_noun(w) or plural_before or leads_object
    if _is_participle(w):
        return not _is_noun(w) or leads_object
    if _is_noun(w):
        return leads_object and _is_plural(w) and not plural_before
    return leads_object or (w.endswith("s") and not w.endswith(("ss", "us")) and _is_noun(before))


# ---- phrases ----


def _noun_phrase_end(t: list[str], i: int) -> int:
    """One past the noun phrase that starts at `i`; `i` itself where none does."""
    j = i
    while _at(t, j) in DETERMINERS and not (t[j] in ("that", "no") and _at(t, j + 1) in AUXILIARIES):
        j += 1
    if j > i and _at(t, j) == "of" and _starts_noun_phrase(t, j + 1):
        return _noun_phrase_end(t, j + 1)  # "one of the men"
    determined, noun = j > i, False
    start = j
    while j < len(t) and _continues(t, j, j > start, determined, noun):
        if _is_possessive(t[j]):
            noun, determined, start = False, True, j + 1
        elif t[j] not in ("and", ",") and not _modifies(t, j):
            noun = True
        j += 1
    if j == start and determined and t[j - 1] not in POSSESSIVES | {"a", "an", "the", "no", "every"}:
        return j  # "another", "both", "the other": determiners that stand alone
    return j if j > start else i


def _modifies(t: list[str], i: int) -> bool:
    """Whether the word at `i`, before any noun, is a modifier rather than the noun."""
    w = t[i]
    if _is_adjective(w) or _is_adverb(w):
        return True
    return _is_participle(w) and not (_is_noun(w) and _is_border(_at(t, i + 1)))


def _continues(t: list[str], j: int, begun: bool, determined: bool, noun: bool) -> bool:
    """Whether the word at `j` still belongs to a noun phrase that has (not) `begun`, has a determiner, has a noun."""
    w = t[j]
    if w in ("and", ",") and begun and not noun:
        return _is_adjective(_at(t, j + 1)) or (w == "," and _is_participle(_at(t, j + 1)))
    if w == "and":
        # "a dog white and brown"
        return _at(t, j - 1) in COLOURS and _at(t, j + 1) in COLOURS
    if _is_border(w) or (w in DETERMINERS and w not in ("one", "other")):
        return False
    if noun:
        if w in COLOURS:
            return True
        if _is_adverb(w) or (_is_adjective(w) and not _is_noun(w)):
            return False
        return not _is_verb_after_noun(t, j)
    if begun:
        verb = w in THIRD or w in IRREGULAR_PASTS
        bare_verb = w in VERBS and not _starts_noun_phrase(t, j + 1) and not _is_noun(w)  # "the elderly sit on"
        return _is_adjective(w) or not (bare_verb or verb and (not _is_noun(w) or _leads_object(t, j)))
    return determined or not ((w in THIRD or w in VERBS) and not _is_noun(w) and not _is_adjective(w))


def _clothing_end(t: list[str], i: int) -> int:
    """One past "(the) dark red jacket", "black and white", "a hat" at `i`; `i` where no colour or garment is."""
    j, end, has_noun = i, i, False
    while _at(t, j) in DETERMINERS:
        j += 1
    while j < len(t):
        w = t[j]
        garment = w in CLOTHES or _singular(w) in CLOTHES
        if garment and not (has_noun and w in THIRD):
            end, has_noun = j + 1, True
        elif w in COLOURS or (_is_adjective(w) and "-" in w):
            if has_noun and _at(t, j - 1) != "and":
                break
            end = j + 1
        elif w in ("and", ",") and end == j:
            after = _at(t, j + 1)
            if not (after in COLOURS or after in CLOTHES):
                break
        elif has_noun or not _leads_to_garment(t, j):
            break
        j += 1
    return end


def _leads_to_garment(t: list[str], j: int) -> bool:
    """Whether the word at `j` may stand before a garment that follows within two words ("school uniform")."""
    for k in range(j, min(j + 3, len(t))):
        if t[k] in CLOTHES or _singular(t[k]) in CLOTHES:
            return True
        if _is_border(t[k]) or t[k] in THIRD or t[k] in DETERMINERS:
            return False
    return False


def _place_end(t: list[str], i: int) -> int:
    """One past "the left (side)", "the far right" at `i`, unless a longer place follows ("the left of the sofa")."""
    j = i
    while _at(t, j) in ("the", "far", "very"):
        j += 1
    start = j
    while _at(t, j) in PLACES:
        j += 1
    longer = _at(t, j) == "of" or (_is_noun(_at(t, j)) and t[j] not in THIRD)  # "the front row"
    return j if start < j and start > i and not longer else i


def _attribute_end(t: list[str], i: int) -> int:
    """One past an attribute that starts at `i`; `i` where none does."""
    w = _at(t, i)
    if w in ("in", "on", "at", "from"):
        place = _place_end(t, i + 1)
        if place > i + 1:
            return place
    if w == "wearing" or (w in ("dressed", "clad", "clothed") and _at(t, i + 1) == "in"):
        return _after(i, i + (1 if w == "wearing" else 2), _noun_phrase_end, t)
    if w == "in":
        return _after(i, i + 1, _clothing_end, t)
    if w == "with" and _at(t, i + 1) not in POSSESSIVES:
        end = _noun_phrase_end(t, i + 1)
        while _at(t, end) == "and" and _at(t, end + 1) not in VERBS and _is_noun(_at(t, end + 1)):
            end += 2  # "with a beard and glasses"
        company = end > i + 1 and (_singular(t[end - 1]) in PERSONS)
        return i if company or end == i + 1 else end
    if w == "of":
        return _after(i, i + 1, _noun_phrase_end, t)
    return i


def _after(i: int, start: int, find_end, t: list[str]) -> int:
    """`find_end` from `start`, or `i` where it finds nothing."""
    end = find_end(t, start)
    return end if end > start else i


def _phrase_end(t: list[str], i: int) -> int:
    """One past the target's phrase at `i`; `i` where no phrase starts."""
    w = _at(t, i)
    if w in QUESTION:
        return _question_end(t, i)
    if w in PRONOUNS:
        return i + 1
    end = _noun_phrase_end(t, i)
    if end == i:
        return i
    core = end
    while (longer := _attribute_end(t, end)) > end and longer - i <= MAX_WORDS:
        end = longer
    if end == core and _at(t, end) == "and" and _starts_noun_phrase(t, end + 1):
        second = _noun_phrase_end(t, end + 1)
        if second > end + 1 and second - i <= MAX_WORDS:
            return second
    return end


def _question_end(t: list[str], i: int) -> int:
    after = _at(t, i + 1)
    verb = after in THIRD or (after in VERBS and (not _is_noun(after) or _is_border(_at(t, i + 2))))
    if t[i] in ("who", "whom") or _is_adverb(after) or (t[i] == "what" and after in DETERMINERS):
        return i + 1
    if after == "of" and t[i] == "which":
        return max(i + 1, _noun_phrase_end(t, i + 2))
    return i + 1 if verb else max(i + 1, _noun_phrase_end(t, i + 1))


# ---- what comes before the phrase ----


def _skip_openings(t: list[str]) -> int:
    """Where the phrase starts: past everything that a sentence may say before it names its subject."""
    i = 0
    while (j := _opening_end(t, i)) > i:
        i = j
    return i if i < len(t) else 0


def _opening_end(t: list[str], i: int) -> int:
    """One past the opening at `i`; `i` where the phrase itself begins."""
    w, after = _at(t, i), _at(t, i + 1)
    if i >= len(t) or w in QUESTION:
        return i
    if not _is_word(w) or (w in CONJUNCTIONS):
        return i + 1
    if w == "there" or w in ("here", "it", "this", "that", "these", "those") and after in BE:
        return _existential_end(t, i)
    if w in ("how", "where", "why") and after in AUXILIARIES | {"many", "much"}:
        return i + 2
    if w in AUXILIARIES:
        return i + 1
    if w in ("i", "we", "you", "one") and _at(t, _past_verbs(t, i + 1)) in DETERMINERS:
        return _past_verbs(t, i + 1)
    if w == "the" and after in FOOTAGE and _at(t, i + 2) in SHOWING:
        return i + 3
    if w in IMPERATIVES and i == _leading_words(t):
        return _imperative_end(t, i)
    if w == "please":
        return i + 1
    if w in SUBORDINATORS and (clause := _clause_end(t, i)) > i:
        return clause
    if w in PREPOSITIONS and not (_is_adverb(w) and after in DETERMINERS | {","}):
        return _fronted_place_end(t, i)
    if _is_participle(w) and not _is_noun(w) and (comma := _comma_end(t, i)) > i:
        return comma
    skippable = _is_adverb(w) and (_starts_noun_phrase(t, i + 1) or after in QUESTION | PRONOUNS or after == ",")
    return i + 1 if skippable else i


def _leading_words(t: list[str]) -> int:
    """Index of the first word that is not a mark or "please"."""
    return next((k for k, w in enumerate(t) if _is_word(w) and w != "please"), 0)


def _past_verbs(t: list[str], i: int) -> int:
    while i < len(t) and (t[i] in AUXILIARIES or t[i] in VERBS or t[i] in IRREGULAR_PASTS or _is_adverb(t[i])):
        i += 1
    return i


def _existential_end(t: list[str], i: int) -> int:
    """Past "there is", "there seems to be", "here comes"; `i` where a plain "there" stands."""
    j = i + 1
    while _at(t, j) in AUXILIARIES or _at(t, j) in THIRD | EXISTING or _is_adverb(_at(t, j)):
        j += 1
    return j


def _imperative_end(t: list[str], i: int) -> int:
    j = i + 1
    while _at(t, j) in ("me", "us", "out", "for", "at"):
        j += 1
    return j if _starts_noun_phrase(t, j) or _at(t, j) in QUESTION else i


def _comma_end(t: list[str], i: int) -> int:
    """One past the first comma after `i` that a noun phrase, a pronoun or "there" follows; `i` without one."""
    for k in range(i + 1, len(t) - 1):
        if t[k] == "," and (_starts_noun_phrase(t, k + 1) or t[k + 1] in PRONOUNS | {"there"}):
            return k + 1
    return i


def _clause_end(t: list[str], i: int) -> int:
    """One past a subordinate clause at `i`: its comma, or else where a second noun phrase meets a finite verb."""
    if (comma := _comma_end(t, i)) > i:
        return comma
    for k in range(_noun_phrase_end(t, i + 1) + 1, len(t)):
        if t[k] in DETERMINERS | PRONOUNS and _at(t, k - 1) not in PREPOSITIONS:
            end = _phrase_end(t, k)
            if _at(t, end) in THIRD | AUXILIARIES:
                return k
    return i


def _fronted_place_end(t: list[str], i: int) -> int:
    """Past "in the kitchen (,)", "on the left of the sofa stands": a place, and the verb where it comes first."""
    j = i
    while _at(t, j) in PREPOSITIONS:
        while _at(t, j) in PREPOSITIONS or _at(t, j) in ("front", "top"):
            j += 1
        j = _noun_phrase_end(t, j)
        if _at(t, j) == "and" and _starts_noun_phrase(t, j + 1):
            j = _noun_phrase_end(t, j + 1)
    if _at(t, j) == ",":
        return j + 1
    if _at(t, j) in DETERMINERS | PRONOUNS | QUESTION | {"there"}:
        return j
    verbs = j
    while _at(t, verbs) in AUXILIARIES or _at(t, verbs) in THIRD | PAST | ING:
        verbs += 1
    if verbs > j and _starts_noun_phrase(t, verbs):
        return verbs
    return _comma_end(t, i)


def _first_noun_phrase(t: list[str]) -> tuple[int, int]:
    """For a sentence without a subject ("walks to the door"): its first noun phrase, else its first words."""
    for i in range(len(t)):
        if t[i] in DETERMINERS or (_is_noun(t[i]) and t[i] not in THIRD | VERBS):
            end = _noun_phrase_end(t, i)
            if end > i:
                return i, end
    words = [k for k, w in enumerate(t) if _is_word(w)][:MAX_WORDS]
    return words[0], words[-1] + 1
