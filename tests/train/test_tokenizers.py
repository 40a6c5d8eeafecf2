"""Tokenizers written for training from scratch."""

import json

import pytest

from stvg_jax.errors import InputError
from stvg_jax.inference.tokenizer import Tokenizer
from stvg_jax.train.tokenizers import read_words, write_word_tokenizer


def test_one_token_per_word(tmp_path):
    assert write_word_tokenizer(tmp_path, ["the red square, left of it", "it"], most=16) == 11
    tokenizer = Tokenizer(tmp_path, max_tokens=16)
    start, *words, end = tokenizer("it left the blue square")
    assert (start, end) == (0, 2)
    assert len(set(words)) == 5 and words[3] == 3  # "blue" was not among them


def test_more_words_than_rows_of_the_table(tmp_path):
    with pytest.raises(InputError, match="there are 2 different words, the model's token table has room for 1"):
        write_word_tokenizer(tmp_path, ["red square"], most=5)


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
