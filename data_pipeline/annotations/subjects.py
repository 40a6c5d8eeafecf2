"""Samples with other subjects than the annotated ones, to measure how much a model depends on them."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Sequence

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.data_pipeline.annotations.collecting import subject_of
from stvg_jax.data_pipeline.annotations.records import Sample
from stvg_jax.data_pipeline.language.lexicon import DETERMINERS, FEMALE, MALE, PREPOSITIONS, PRONOUNS, QUESTION
from stvg_jax.data_pipeline.language.words import singular

ANNOTATED = "annotated"
NONE = "none"
# Name -> words for what the model reads.
SUBJECT_RULES = {
    ANNOTATED: "annotated subject",
    "found": "found subject",
    "wrong": "wrong subject",
    NONE: "no subject",
}
_WORD = re.compile(r"\w+")


def check_subject_rule(rule: str) -> None:
    """Raises InputError for a name that is not in `SUBJECT_RULES`."""
    if rule not in SUBJECT_RULES:
        raise InputError(f"unknown subject rule {quoted(rule)}; choose one of {', '.join(SUBJECT_RULES)}")


def with_subjects(samples: Sequence[Sample], rule: str) -> list[Sample]:
    """The samples with other subjects, in their order. They depend on the samples and the rule alone.

    A wrong subject is that of another sample of these: one of another category and without a common word; where there
    is none, as in HC-STVG, one of the other sex ("the woman" for "the man in blue"); failing that, one without a common
    word. Articles and prepositions do not count, and question words and pronouns are never taken. The id of a sample
    decides which of the possible subjects it gets.

    Args:
        samples: samples of a split.
        rule: a key of `SUBJECT_RULES`. "none" gives empty subjects.

    Raises:
        InputError: there is no such rule, or no wrong subject for a sample.
    """
    check_subject_rule(rule)
    if rule == ANNOTATED:
        return list(samples)
    if rule == NONE:
        return [dataclasses.replace(sample, subject="") for sample in samples]
    if rule == "found":
        return [dataclasses.replace(sample, subject=subject_of(None, sample.sentence)) for sample in samples]
    every = sorted({(sample.category, sample.subject) for sample in samples})
    named = [_Named(*one) for one in every]
    return [dataclasses.replace(sample, subject=_wrong_subject(sample, named)) for sample in samples]


class _Named:
    """A subject, with what tells it from others.

    Attributes:
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


def _is_of_another_category(one: _Named, other: _Named) -> bool:
    return one.category != other.category and _has_no_common_word(one, other)


def _is_of_the_other_sex(one: _Named, other: _Named) -> bool:
    return {one.sex, other.sex} == {"male", "female"}


def _has_no_common_word(one: _Named, other: _Named) -> bool:
    return not one.words & other.words


_DIFFERENCES: tuple[Callable[[_Named, _Named], bool], ...] = (
    _is_of_another_category,
    _is_of_the_other_sex,
    _has_no_common_word,
)


def _wrong_subject(sample: Sample, others: Sequence[_Named]) -> str:
    """The first subject that differs, from a place on that the sample's id decides."""
    true = _Named(sample.category, sample.subject)
    place = int.from_bytes(hashlib.sha256(sample.id.encode(errors="surrogatepass")).digest()[:8], "big") % len(others)
    ordered = [*others[place:], *others[:place]]
    for differs in _DIFFERENCES:
        for other in ordered:
            if not other.vague and differs(true, other):
                return other.subject
    raise InputError(
        f"sample {quoted(sample.id)} has the subject {quoted(sample.subject)}, and no other sample of the split has a "
        "wrong one for it, without a common word; choose another subject rule"
    )
