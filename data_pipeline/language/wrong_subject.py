"""A subject that means another target than a given one, by the words of both."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from stvg_jax.data_pipeline.language.lexicon import DETERMINERS, FEMALE, MALE, PREPOSITIONS, PRONOUNS, QUESTION
from stvg_jax.data_pipeline.language.words import singular

_WORD = re.compile(r"\w+")


class NamedTarget:
    """A subject, with what tells it from others.

    Args:
        category: of the target, as annotated.
        subject: words that name it.

    Attributes:
        category, subject: as given.
        words: its nouns, adjectives and other words of meaning, in the singular.
        sex: "male" or "female", by the first word that tells it; else "".
        vague: whether it may name any target.
    """

    def __init__(self, category: str, subject: str) -> None:
        self.category, self.subject = category, subject
        words = _WORD.findall(subject.lower())
        self.words = {singular(word) for word in words} - DETERMINERS - PREPOSITIONS
        sexes = ("male" if word in MALE else "female" for word in map(singular, words) if word in MALE | FEMALE)
        self.sex = next(sexes, "")
        self.vague = not self.words or not (QUESTION | PRONOUNS).isdisjoint(words)


def _is_of_another_category(one: NamedTarget, other: NamedTarget) -> bool:
    return one.category != other.category and _has_no_common_word(one, other)


def _is_of_the_other_sex(one: NamedTarget, other: NamedTarget) -> bool:
    return {one.sex, other.sex} == {"male", "female"}


def _has_no_common_word(one: NamedTarget, other: NamedTarget) -> bool:
    return not one.words & other.words


_DIFFERENCES: tuple[Callable[[NamedTarget, NamedTarget], bool], ...] = (
    _is_of_another_category,
    _is_of_the_other_sex,
    _has_no_common_word,
)


def find_wrong_subject(true: NamedTarget, others: Sequence[NamedTarget]) -> str | None:
    """The first of other subjects that means another target: one of another category and without a common word; where
    there is none, one of the other sex; failing that, one without a common word. None if all may mean the same."""
    for differs in _DIFFERENCES:
        for other in others:
            if not other.vague and differs(true, other):
                return other.subject
    return None
