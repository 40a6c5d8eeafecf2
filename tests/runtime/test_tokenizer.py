"""Tokenizers of checkpoints that are damaged."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.runtime.tokenizer import Tokenizer
from tests.tiny import write_byte_tokenizer


def lose_the_unknown_token(described: dict) -> None:
    del described["model"]["vocab"]["<unk>"], described["model"]["vocab"]["a"]


def give_parts_a_prefix(described: dict) -> None:
    """The library panics for a merge that is shorter than this."""
    described["model"] |= {"continuing_subword_prefix": "longer than a token", "merges": [["t", "h"]]}
    described["model"]["vocab"]["th"] = 300


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lose_the_unknown_token,
            "tokenizer.json is a damaged tokenizer, which fails on 'a man': Unk token .* not found",
        ),
        (give_parts_a_prefix, "tokenizer.json is not a tokenizer: ."),
    ],
)
def test_failures_of_the_library_are_one_line(tmp_path, damage: Callable[[dict], None], message: str):
    write_byte_tokenizer(tmp_path)
    path = tmp_path / "tokenizer.json"
    described = json.loads(path.read_text())
    damage(described)
    path.write_text(json.dumps(described))
    with pytest.raises(InputError, match=message) as told:
        Tokenizer(tmp_path, 512)("a man")
    assert "\n" not in str(told.value)
