"""Samples with sentences of other videos."""

from __future__ import annotations

import dataclasses

import pytest

from stvg_jax import InputError
from stvg_jax.data_pipeline.annotations.other_sentences import with_other_sentences
from tests.grounding.evaluation.cases import make_sample


def make_samples(count: int):
    return [
        make_sample(str(k), sentence=f"the man number {k} leaves", subject=f"the man number {k}") for k in range(count)
    ]


def test_each_sample_gets_the_sentence_of_another_video():
    samples = make_samples(30)
    changed = with_other_sentences(samples)
    assert [sample.sentence for sample in with_other_sentences(samples)] == [sample.sentence for sample in changed]
    for before, after in zip(samples, changed, strict=True):
        assert after.sentence != before.sentence
        assert after.sentence == f"{after.subject} leaves"
        same = dataclasses.replace(after, sentence=before.sentence, subject=before.subject)
        assert (same.id, same.video, same.tube, same.clip) == (before.id, before.video, before.tube, before.clip)
    assert len({sample.sentence for sample in changed}) > 10


def test_what_is_allowed_decides():
    samples = make_samples(9)
    changed = with_other_sentences(samples, lambda sample, other: int(other.id) == (int(sample.id) + 1) % 9)
    assert [sample.subject[-1] for sample in changed] == list("123456780")
    with pytest.raises(InputError, match="the clip of sample '0'; take a split with more videos"):
        with_other_sentences(samples, lambda sample, other: False)
    with pytest.raises(InputError, match="take a split with more videos"):
        with_other_sentences([samples[0], dataclasses.replace(samples[1], video=samples[0].video)])
