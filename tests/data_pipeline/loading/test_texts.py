"""What a model reads of a sample, with and without the words that name the target."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from data_pipeline.loading.texts import Texts
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
