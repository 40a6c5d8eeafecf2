"""Queries into English. `data_pipeline.shapes.parsing` reads it again."""

from __future__ import annotations

from stvg_jax.data_pipeline.shapes.draws import Draws
from stvg_jax.data_pipeline.shapes.queries import ORDINAL, RANK, SIDES, Event, Noun, Query, When, Where
from stvg_jax.data_pipeline.shapes.vocabulary import COLOURS, EXIST, SHAPES, SIZES, STOP

# Every word of each list means the same.
NOUN_WORDS = {
    "small": ("small", "little"),
    "big": ("big", "large"),
    None: ("object", "shape"),
} | {name: (name,) for name in (*COLOURS, *SHAPES)}
assert set(SIZES) <= set(NOUN_WORDS)
VERBS = {
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
            for table in (NOUN_WORDS, VERBS, BESIDE_WORDS, SIDE_WORDS, WHEN_WORDS, ORDINAL_WORDS)
            for phrases in table.values()
            for phrase in phrases
            for word in phrase.split()
        }
        | _FUNCTION_WORDS
        | set(RANK_WORDS.values())
    )
)


def word_query(query: Query, draws: Draws) -> tuple[str, str]:
    """A sentence that asks `query`, lower case, and the phrase in it that names the target.

    Args:
        draws: chooses among the ways to say the same.
    """
    return _Wording(draws).sentence(query)


class _Wording:
    def __init__(self, draws: Draws):
        self._draws = draws

    def sentence(self, query: Query) -> tuple[str, str]:
        relation = query.when.relation if query.when else None
        if query.event.deed == EXIST and not relation:
            return self._existence(query)
        subject = self._noun(query.noun)
        deed = "appear" if query.event.deed == EXIST else query.event.deed
        clause = self._clause(Event(deed, query.event.then, query.event.other))
        if query.where:
            return self._placed(subject, query.where, clause)
        if relation in RANK_WORDS:
            return self._ranked(subject, clause, RANK_WORDS[relation])
        if relation in ORDINAL_WORDS:
            return self._main(subject, f"{clause} {self._draws.choice(ORDINAL_WORDS[relation])}")
        if relation in WHEN_WORDS:
            return self._anchored(subject, clause, query.when)
        return self._main(subject, clause)

    def _noun(self, noun: Noun) -> str:
        words = [self._draws.choice(NOUN_WORDS[name]) for name in (noun.size, noun.colour) if name]
        return " ".join([*words, self._draws.choice(NOUN_WORDS[noun.shape])])

    def _clause(self, event: Event) -> str:
        verb = self._draws.choice(VERBS[event.deed])
        if event.other:
            return f"{verb} the {self._noun(event.other)}"
        if event.then:
            first = self._draws.choice(("", "first ")) if event.then != STOP else ""
            link = self._draws.choice((", then ", " and then "))
            return f"{first}{verb}{link}{self._draws.choice(VERBS[event.then])}"
        return verb

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
        if where.relation in SIDE_WORDS:
            sentence, _ = self._main(f"{subject} {self._draws.choice(SIDE_WORDS[where.relation])}", clause)
            return sentence, f"{sentence[: sentence.index(subject)].split()[-1]} {subject}"
        # No "that ...": it would speak of the other thing.
        link = self._draws.choice(("", "that is "))
        place = f"{self._draws.choice(BESIDE_WORDS[where.relation])} the {self._noun(where.noun)}"
        return f"the {subject} {link}{place} {clause}", f"the {subject}"

    def _anchored(self, subject: str, clause: str, when: When) -> tuple[str, str]:
        anchor = (
            f"{self._draws.choice(WHEN_WORDS[when.relation])} the {self._noun(when.noun)} {self._clause(when.event)}"
        )
        # "moves right after ..." could mean "at once after".
        if self._draws.chance(0.5) or clause in ("moves right", "goes right"):
            return f"{anchor}, the {subject} {clause}", f"the {subject}"
        return f"the {subject} {clause} {anchor}", f"the {subject}"

    def _ranked(self, subject: str, clause: str, rank: str) -> tuple[str, str]:
        if self._draws.chance(0.5):
            return f"the {rank} {subject} that {clause}", f"the {rank} {subject}"
        return f"the {subject} that {clause} {rank}", f"the {subject}"


def _agreeing(article: str, subject: str) -> str:
    return "an" if article == "a" and subject.startswith("object") else article
