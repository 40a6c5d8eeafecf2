"""BERT's tokenizer: ids of the released code, and folders that hold another one."""

import json
from pathlib import Path

import pytest

from stvg_jax.convert.wordpiece import save_wordpiece
from stvg_jax.core.errors import InputError
from stvg_jax.runtime.tokenizer import Tokenizer

GOLDEN = json.loads((Path(__file__).parents[1] / "goldens" / "retrieval_tokenizer.json").read_text())
SIZE = GOLDEN["size"]


def write(folder, vocab=GOLDEN["vocab"], **description):
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(vocab))
    if description:
        (folder / "tokenizer_config.json").write_text(json.dumps(description))
    return folder


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wordpiece")
    given = write(folder / "given", do_lower_case=True)
    assert save_wordpiece(given, folder / "made", SIZE) == str(given)
    return Tokenizer(folder / "made", 20)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=range(len(GOLDEN["cases"])))
def test_equals_the_released_tokenizer(tokenizer, case):
    ids = tokenizer.cut(case["caption"]).tolist()
    assert len(ids) == case["tokens"]
    assert ids + [0] * (20 - len(ids)) == case["ids"]


def test_the_start_of_the_decoder_follows_the_vocabulary(tokenizer, tmp_path):
    assert tokenizer("[DEC]").tolist() == [101, GOLDEN["dec_id"], 102]
    given = write(tmp_path / "given")
    save_wordpiece(given, tmp_path / "without", SIZE - 1)
    assert GOLDEN["dec_id"] not in Tokenizer(tmp_path / "without", 512)("[DEC]")


@pytest.mark.parametrize(
    ("folder", "size", "message"),
    [
        ({"vocab": GOLDEN["vocab"][1:]}, SIZE, r"not BERT's: its special tokens are {\"\[PAD\]\": null, .* not {"),
        ({"do_lower_case": False}, SIZE, "do_lower_case False; the model reads texts in lower case"),
        ({"vocab": [*GOLDEN["vocab"][:-1], "while"]}, SIZE, "has the token 'while' twice"),
        ({}, SIZE + 1, r"has 714 tokens, but the model knows 716; its table has a row for each"),
    ],
)
def test_folders_that_will_not_do(tmp_path, folder, size, message):
    given = write(tmp_path / "given", **folder)
    with pytest.raises(InputError, match=message) as caught:
        save_wordpiece(given, tmp_path / "out", size)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_folders_without_a_vocabulary(tmp_path):
    with pytest.raises(InputError, match="no tokenizer in .*: it must hold vocab.txt"):
        save_wordpiece(tmp_path, tmp_path / "out", SIZE)
    with pytest.raises(InputError, match="nowhere.txt does not exist; it must hold vocab.txt"):
        save_wordpiece(tmp_path / "nowhere.txt", tmp_path / "out", SIZE)
