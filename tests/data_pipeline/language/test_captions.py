"""Captions and questions against the processors of the release."""

import json
from pathlib import Path

import pytest

from stvg_jax.data_pipeline.language.captions import caption_text, question_text

CASES = json.loads((Path(__file__).parents[2] / "goldens" / "retrieval_texts.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_equals_the_released_processors(case):
    assert caption_text(case["text"]) == case["caption"]
    assert question_text(case["text"]) == case["question"]
