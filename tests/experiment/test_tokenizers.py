"""The source of a training's tokenizer."""

import json

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.experiment.tokenizers import read_words


def test_words_of_a_file(tmp_path):
    path = tmp_path / "vocabulary.json"
    path.write_text(json.dumps({"words": ["red", "square"]}))
    assert read_words(path) == ["red", "square"]


@pytest.mark.parametrize("text", [None, "{", "[]", '{"words": []}', '{"words": "red"}', '{"words": [1]}'])
def test_files_without_words(text, tmp_path):
    path = tmp_path / "vocabulary.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match="config.train.tokenizer: .*vocabulary.json"):
        read_words(path)
