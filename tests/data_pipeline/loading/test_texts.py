"""The text of a sample that a model reads, with and without the words that name the target."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stvg_jax.data_pipeline.loading.texts import Texts
from tests.data_pipeline.loading.cases import CONFIG, make_samples


@pytest.mark.parametrize(("reads_subject", "begins"), [(True, "the man "), (False, "")])
def test_subject_and_mirrored_words(reads_subject, begins):
    samples, _ = make_samples(count=2)
    read = []

    def tokenize(text: str) -> np.ndarray:
        read.append(text)
        return np.array([len(read) - 1])

    config = dataclasses.replace(CONFIG, reads_subject=reads_subject)
    texts = Texts(samples, tokenize, config, training=True)

    def shown(sample: int, flip: bool) -> str:
        return read[texts(sample, flip)[0]]

    assert shown(0, False) == f"{begins}the man walks to the left."
    assert shown(0, True) == f"{begins}the man walks to the right."
    assert shown(1, False) == shown(1, True) == f"{begins}a dog sits"


@pytest.mark.parametrize("training", [True, False])
def test_the_case_of_the_subject_stays_and_that_of_the_sentence_does_not(training):
    """As in the released code, which lower-cases sentences in its loaders and joins subjects to them in the model."""
    samples, _ = make_samples(count=1)
    sample = dataclasses.replace(samples[0], subject="The Man on the Left", sentence="The man on the Left sits")
    read = []
    Texts([sample], lambda text: read.append(text) or np.array([0]), CONFIG, training=training)
    assert read[0] == "The Man on the Left the man on the left sits"
    assert read[1:] == (["The Man on the Right the man on the right sits"] if training else [])
