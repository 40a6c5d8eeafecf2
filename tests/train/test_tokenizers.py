"""Tokenizers written for training from scratch."""

import json

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.runtime.tokenizer import Tokenizer, write_word_tokenizer


def test_words_are_tokens(tmp_path):
    count = write_word_tokenizer(tmp_path, ["the red square stops", "the square, then"], most=20)
    tokenizer = Tokenizer(tmp_path, 16)
    ids = tokenizer("the red square, elephant")
    vocabulary = json.loads((tmp_path / "tokenizer.json").read_text())["model"]["vocab"]
    words = {number: word for word, number in vocabulary.items()}
    assert [words[i] for i in ids] == ["<s>", "the", "red", "square", ",", "<unk>", "</s>"]
    assert count == len(vocabulary) == 10


def test_the_order_of_sentences_changes_nothing(tmp_path):
    for name, texts in (("a", ["b a", "c"]), ("b", ["c a", "b"])):
        write_word_tokenizer(tmp_path / name, texts, most=20)
    assert (tmp_path / "a" / "tokenizer.json").read_bytes() == (tmp_path / "b" / "tokenizer.json").read_bytes()


def test_too_many_words(tmp_path):
    with pytest.raises(InputError, match="there are 3 different words, the model's token table has room for 2"):
        write_word_tokenizer(tmp_path, ["a b c"], most=6)


def test_words_have_no_case(tmp_path):
    count = write_word_tokenizer(tmp_path, ["The man the man stops", "the Man"], most=20)
    tokenizer = Tokenizer(tmp_path, 16)
    assert count == 4 + len({"the", "man", "stops"})
    assert tokenizer("THE Man stops").tolist() == tokenizer("the man stops").tolist()
