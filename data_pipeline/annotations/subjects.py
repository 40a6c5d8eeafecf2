"""Samples with other subjects than the annotated ones, to measure how much a model depends on them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.data_pipeline.annotations.collecting import subject_of
from stvg_jax.data_pipeline.annotations.records import Sample
from stvg_jax.data_pipeline.language.wrong_subject import NamedTarget, find_wrong_subject

ANNOTATED = "annotated"
NONE = "none"
# Name -> words for what the model reads.
SUBJECT_RULES = {
    ANNOTATED: "annotated subject",
    "found": "found subject",
    "wrong": "wrong subject",
    NONE: "no subject",
}


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
    named = [NamedTarget(*one) for one in every]
    return [dataclasses.replace(sample, subject=_wrong_subject(sample, named)) for sample in samples]


def _wrong_subject(sample: Sample, others: Sequence[NamedTarget]) -> str:
    """The first wrong subject, from a place on that the sample's id decides."""
    digest = hashlib.sha256(sample.id.encode(errors="surrogatepass")).digest()
    place = int.from_bytes(digest[:8], "big") % len(others)
    true = NamedTarget(sample.category, sample.subject)
    found = find_wrong_subject(true, [*others[place:], *others[:place]])
    if found is None:
        raise InputError(
            f"sample {quoted(sample.id)} has the subject {quoted(sample.subject)}, and no other sample of the split "
            "has a wrong one for it, without a common word; choose another subject rule"
        )
    return found
