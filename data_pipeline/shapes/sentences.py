"""English sentences for queries, and a separate grammar that parses them back."""

from __future__ import annotations

import re

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.shapes.draws import Draws
from stvg_jax.data_pipeline.shapes.vocabulary import (
    COLOURS,
    EXIST,
    ORDINAL,
    RANK,
    SHAPES,
    SIDES,
    SIZES,
    STOP,
    Event,
    Noun,
    Query,
    When,
    Where,
)

# All phrases of an entry mean the same.
NOUN_WORDS = {
    "small": ("small", "little"),
    "big": ("big", "large"),
    None: ("object", "shape"),
} | {name: (name,) for name in (*COLOURS, *SHAPES)}
assert set(SIZES) <= set(NOUN_WORDS)
VERB_PHRASES = {
    "left": ("moves to the left", "moves left", "goes to the left", "goes left"),
    "right": ("moves to the right", "moves right", "goes to the right", "goes right"),
    "up": ("moves up", "goes up", "rises"),
    "down": ("moves down", "goes down", "falls"),
    "grow": ("grows", "gets bigger", "becomes bigger"),
    "shrink": ("shrinks", "gets smaller", "becomes smaller"),
    "spin": ("spins", "rotates"),
    "blink": ("blinks", "flickers"),
    "appear": ("appears", "comes into view"),
    "vanish": ("vanishes", "disappears"),
    "pass above": ("passes above", "passes over"),
    "pass below": ("passes below", "passes under"),
    "approach": ("moves towards", "approaches", "comes closer to"),
    "retreat": ("moves away from", "goes away from"),
    "follow": ("follows",),
    STOP: ("stops", "stands still", "stays where it is"),
} | {f"turn {colour}": (f"turns {colour}", f"becomes {colour}", f"changes to {colour}") for colour in COLOURS}
BESIDE_WORDS = {
    "left of": ("to the left of",),
    "right of": ("to the right of",),
    "above": ("above",),
    "below": ("below", "under"),
    "closest to": ("closest to", "nearest to"),
}
SIDE_WORDS = {
    "on the left": ("on the left", "on the left side"),
    "on the right": ("on the right", "on the right side"),
    "at the top": ("at the top",),
    "at the bottom": ("at the bottom",),
}
WHEN_WORDS = {"after": ("after",), "before": ("before",), "while": ("while", "as")}
ORDINAL_WORDS = {"first time": ("for the first time",), "second time": ("for the second time", "again")}
RANK_WORDS = {"earliest": "first", "latest": "last"}
assert set(ORDINAL_WORDS) == set(ORDINAL) and set(RANK_WORDS) == set(RANK) and set(SIDE_WORDS) == set(SIDES)
_FUNCTION_WORDS = {"a", "an", "the", "there", "is", "find", "shown", "in", "picture", "that", "which", "then", "and"}
# Every word of the sentences.
WORDS = tuple(
    sorted(
        {
            word
            for table in (NOUN_WORDS, VERB_PHRASES, BESIDE_WORDS, SIDE_WORDS, WHEN_WORDS, ORDINAL_WORDS)
            for phrases in table.values()
            for phrase in phrases
            for word in phrase.split()
        }
        | _FUNCTION_WORDS
        | set(RANK_WORDS.values())
    )
)

# Patterns by which sentences are read: other words for the same, and regular expressions.
_SIZE_WORDS = {"small": "small", "little": "small", "big": "big", "large": "big"}
_COLOUR = "|".join(COLOURS)
_SHAPE = "|".join(SHAPES)
_NOUN = rf"(?:(?:{'|'.join(_SIZE_WORDS)}) )?(?:(?:{_COLOUR}) )?(?:{_SHAPE}|object|shape)"
_PLACE = (
    rf"(?:on the (?:left|right)(?: side)?|at the (?:top|bottom)"
    rf"|(?:to the (?:left|right) of|above|below|under|closest to|nearest to) the {_NOUN})"
)
_OPENING = re.compile(
    rf"^(?:there is |find )?(?:the|an?) (?:(first|last) )?({_NOUN})(?: (?:that is )?({_PLACE}))?\b(.*)$"
)
_BESIDE_SYNONYMS = {
    "to the left of": "left of",
    "to the right of": "right of",
    "under": "below",
    "nearest to": "closest to",
}
# Patterns of verb phrases with their verbs; the first that matches the whole phrase counts.
_VERB_PATTERNS = (
    (r"(?:moves|goes)(?: to the)? (left|right)", r"\1"),
    (r"(?:moves|goes) (up|down)", r"\1"),
    (r"rises", "up"),
    (r"falls", "down"),
    (r"grows|(?:gets|becomes) bigger", "grow"),
    (r"shrinks|(?:gets|becomes) smaller", "shrink"),
    (r"spins|rotates", "spin"),
    (r"blinks|flickers", "blink"),
    (r"appears|comes into view", "appear"),
    (r"vanishes|disappears", "vanish"),
    (r"stops|stands still|stays where it is", STOP),
    (rf"(?:turns|becomes|changes to) ({_COLOUR})", r"turn \1"),
)
_RELATED_PATTERNS = (
    (r"passes (?:above|over)", "pass above"),
    (r"passes (?:below|under)", "pass below"),
    (r"moves towards|approaches|comes closer to", "approach"),
    (r"(?:moves|goes) away from", "retreat"),
    (r"follows", "follow"),
)
_ANCHOR = rf"(after|before|while|as) the ({_NOUN}) (.+)"


def word_query(query: Query, draws: Draws) -> tuple[str, str]:
    """A sentence in lower case for `query`, and the phrase in it that names the target.

    Args:
        draws: chooses among phrases of the same meaning.
    """
    return _Wording(draws).sentence(query)


class _Wording:
    def __init__(self, draws: Draws):
        self._draws = draws

    def sentence(self, query: Query) -> tuple[str, str]:
        relation = query.when.relation if query.when else None
        if query.event.verb == EXIST and not relation:
            return self._existence(query)
        subject = self._noun(query.noun)
        verb = "appear" if query.event.verb == EXIST else query.event.verb
        clause = self._clause(Event(verb, query.event.then, query.event.other))
        if query.where:
            return self._placed(subject, query.where, clause)
        if relation in RANK_WORDS:
            return self._ranked(subject, clause, RANK_WORDS[relation])
        if relation in ORDINAL_WORDS:
            return self._main(subject, f"{clause} {self._draws.choice(ORDINAL_WORDS[relation])}")
        if query.when and query.when.anchor:
            return self._anchored(subject, clause, query.when.relation, query.when.anchor)
        return self._main(subject, clause)

    def _noun(self, noun: Noun) -> str:
        words = [self._draws.choice(NOUN_WORDS[name]) for name in (noun.size, noun.colour) if name]
        return " ".join([*words, self._draws.choice(NOUN_WORDS[noun.shape])])

    def _clause(self, event: Event) -> str:
        phrase = self._draws.choice(VERB_PHRASES[event.verb])
        if event.other:
            return f"{phrase} the {self._noun(event.other)}"
        if event.then:
            first = self._draws.choice(("", "first ")) if event.then != STOP else ""
            link = self._draws.choice((", then ", " and then "))
            return f"{first}{phrase}{link}{self._draws.choice(VERB_PHRASES[event.then])}"
        return phrase

    def _main(self, subject: str, clause: str) -> tuple[str, str]:
        article, link, opening = self._draws.choice(
            (("the", "", ""), ("the", "", ""), ("the", " that", ""), ("the", " which", ""), ("a", " that", "there is "))
        )
        article = _agreeing(article, subject)
        return f"{opening}{article} {subject}{link} {clause}", f"{article} {subject}"

    def _existence(self, query: Query) -> tuple[str, str]:
        subject = self._noun(query.noun)
        opening, article, ending = self._draws.choice(
            (
                ("", "the", ""),
                ("find ", "the", ""),
                ("there is ", "a", ""),
                ("", "the", " is shown"),
                ("", "a", " is shown"),
                ("", "a", " is in the picture"),
            )
        )
        article = _agreeing(article, subject)
        return f"{opening}{article} {subject}{ending}", f"{article} {subject}"

    def _placed(self, subject: str, where: Where, clause: str) -> tuple[str, str]:
        if where.noun is None:
            sentence, _ = self._main(f"{subject} {self._draws.choice(SIDE_WORDS[where.relation])}", clause)
            return sentence, f"{sentence[: sentence.index(subject)].split()[-1]} {subject}"
        # Not "that ...", which would refer to the other thing.
        link = self._draws.choice(("", "that is "))
        place = f"{self._draws.choice(BESIDE_WORDS[where.relation])} the {self._noun(where.noun)}"
        return f"the {subject} {link}{place} {clause}", f"the {subject}"

    def _anchored(self, subject: str, clause: str, relation: str, query: Query) -> tuple[str, str]:
        anchor = f"{self._draws.choice(WHEN_WORDS[relation])} the {self._noun(query.noun)} {self._clause(query.event)}"
        # "moves right after ..." could mean "immediately after".
        if self._draws.chance(0.5) or clause in ("moves right", "goes right"):
            return f"{anchor}, the {subject} {clause}", f"the {subject}"
        return f"the {subject} {clause} {anchor}", f"the {subject}"

    def _ranked(self, subject: str, clause: str, rank: str) -> tuple[str, str]:
        if self._draws.chance(0.5):
            return f"the {rank} {subject} that {clause}", f"the {rank} {subject}"
        return f"the {subject} that {clause} {rank}", f"the {subject}"


def _agreeing(article: str, subject: str) -> str:
    return "an" if article == "a" and subject.startswith("object") else article


def parse(sentence: str) -> Query:
    """Query that `sentence` asks.

    Raises:
        InputError: `sentence` has none of the forms of the dataset.
    """
    main, when = sentence, None
    if match := re.fullmatch(rf"{_ANCHOR}, (the .+)", sentence) or re.fullmatch(rf"(the .+?) {_ANCHOR}", sentence):
        *parts, main = match.groups() if match[1] in ("after", "before", "while", "as") else _rotated(match.groups())
        relation = "while" if parts[0] == "as" else parts[0]
        when = When(relation, Query(_noun(parts[1]), _event(parts[2], sentence)))
    match = _OPENING.match(main)
    if not match:
        raise _unreadable(sentence)
    rank, noun, place, rest = match.groups()
    rest = re.sub(r"^ (?:that |which )?", "", rest)
    if tail := re.search(r" (first|last)$", rest):
        rank, rest = tail[1], rest[: tail.start()]
    if tail := re.search(r" (?:for the (first|second) time|again)$", rest):
        when, rest = When(f"{tail[1] or 'second'} time"), rest[: tail.start()]
    if rank:
        when = When({"first": "earliest", "last": "latest"}[rank])
    event = _event(rest, sentence)
    if event.verb == "appear":
        event = Event(EXIST)
    return Query(_noun(noun), event, when, _where(place) if place else None)


def _rotated(groups):
    main, *anchor = groups
    return [*anchor, main]


def _unreadable(sentence: str) -> InputError:
    return InputError(f"{sentence!r} is not a sentence of the shapes dataset; docs/shapes.md lists their forms")


def _noun(phrase: str) -> Noun:
    words = phrase.split()
    size = next((_SIZE_WORDS[w] for w in words if w in _SIZE_WORDS), None)
    colour = next((w for w in words if w in COLOURS), None)
    return Noun(size, colour, words[-1] if words[-1] in SHAPES else None)


def _where(place: str) -> Where:
    if side := re.match(r"on the (?:left|right)|at the (?:top|bottom)", place):
        return Where(side[0])
    relation, _, phrase = place.rpartition(" the ")
    return Where(_BESIDE_SYNONYMS.get(relation, relation), _noun(phrase))


def _event(phrase: str, sentence: str) -> Event:
    if phrase in ("", "is shown", "is in the picture"):
        return Event(EXIST)
    if match := re.fullmatch(r"(?:first )?(.+?)(?:,| and) then (.+)", phrase):
        return Event(_verb(match[1], _VERB_PATTERNS, sentence), then=_verb(match[2], _VERB_PATTERNS, sentence))
    if match := re.fullmatch(rf"(.+) the ({_NOUN})", phrase):
        return Event(_verb(match[1], _RELATED_PATTERNS, sentence), other=_noun(match[2]))
    return Event(_verb(phrase, _VERB_PATTERNS, sentence))


def _verb(phrase: str, table: tuple[tuple[str, str], ...], sentence: str) -> str:
    for pattern, verb in table:
        if match := re.fullmatch(pattern, phrase):
            return match.expand(verb)
    raise _unreadable(sentence)
