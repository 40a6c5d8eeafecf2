"""The source of a training's tokenizer."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.experiment.tokenizers import read_words, write_tokenizer
from stvg_jax.models.names import default_checkpoint


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


def write(folder, **settings: Any) -> bytes:
    experiment: Any = SimpleNamespace(train=SimpleNamespace(**{"tokenizer": "", "initialise": ()} | settings))
    inputs: Any = None
    write_tokenizer(folder, experiment, inputs)
    return (folder / "tokenizer.json").read_bytes()


def test_it_is_that_of_the_start_or_the_one_that_is_named(tmp_path):
    expected = (default_checkpoint() / "tokenizer" / "tokenizer.json").read_bytes()
    for number, settings in enumerate(
        (
            {"initialise": ("builtin",)},
            {"tokenizer": str(default_checkpoint())},
            {"tokenizer": str(default_checkpoint() / "tokenizer")},
        )
    ):
        assert write(tmp_path / str(number), **settings) == expected


def test_another_than_the_named_one_is_never_taken(tmp_path):
    with pytest.raises(InputError, match=r"there is no tokenizer in '.*absent', which config.train.tokenizer names"):
        write(tmp_path / "out", tokenizer=str(tmp_path / "absent"), initialise=("builtin",))
    assert not (tmp_path / "out").exists()
