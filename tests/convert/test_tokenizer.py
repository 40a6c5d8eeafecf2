"""Tokenizers: from a folder, from the hub's cache, and none."""

from __future__ import annotations

import json
import os
import sys

import pytest
import tokenizers

from stvg_jax.convert.tokenizer import save_tokenizer
from stvg_jax.core.errors import InputError
from stvg_jax.runtime.tokenizer import Tokenizer
from tests.tiny import write_byte_tokenizer

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def write_trained(folder, special=SPECIAL):
    """vocab.json and merges.txt of a small byte-level BPE; returns its number of tokens."""
    folder.mkdir(parents=True)
    tokenizer = tokenizers.ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(["the man in blue leaves the room"] * 4, vocab_size=290, special_tokens=special)
    tokenizer.save_model(str(folder))
    return tokenizer.get_vocab_size()


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("stvg_jax.convert.tokenizer._hub_answers", lambda: False)
    return tmp_path / "cache"


def test_vocabulary_and_merges_become_one_file(tmp_path):
    size = write_trained(tmp_path / "given")
    assert save_tokenizer(tmp_path / "given", tmp_path / "out", size) == str(tmp_path / "given")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tokenizer.json"]
    written = tokenizers.Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    encoding = written.encode("the man in blue, naïve")
    vocabulary = json.loads((tmp_path / "given" / "vocab.json").read_text())
    assert encoding.ids == [vocabulary[token] for token in encoding.tokens]
    assert encoding.tokens[:2] == ["<s>", "the"]
    assert encoding.tokens[-1] == "</s>"
    assert "Ġman" in encoding.tokens
    assert written.get_vocab() == vocabulary
    assert written.decode(encoding.ids) == "the man in blue, naïve"


@pytest.mark.skipif(sys.platform != "linux", reason="a file name is text elsewhere")
def test_folders_whose_names_are_no_text(tmp_path):
    size = write_trained(tmp_path / "given")
    save_tokenizer(tmp_path / "given", tmp_path / "out", size)
    odd = (tmp_path / "given").rename(tmp_path / os.fsdecode(b"a\xff"))
    for _ in range(2):  # from vocab.json and merges.txt, then from the tokenizer.json made of them
        odd = odd.rename(odd.with_name(f"{odd.name}\udcff"))
        save_tokenizer(odd, odd / "out", size)
        assert (odd / "out/tokenizer.json").read_bytes() == (tmp_path / "out/tokenizer.json").read_bytes()
        odd /= "out"


def test_same_ids_as_transformers(tmp_path):
    """The tokenizer that the released systems use, on the same vocabulary."""
    from transformers import RobertaTokenizerFast

    size = write_trained(tmp_path / "given")
    save_tokenizer(tmp_path / "given", tmp_path / "out", size)
    ours = tokenizers.Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    theirs = RobertaTokenizerFast.from_pretrained(str(tmp_path / "given"))
    for text in ("the man the man in blue leaves.", "a  dog, naïve & 'old'", " room", "犬が走る"):
        assert ours.encode(text).ids == theirs(text)["input_ids"]


def test_tokenizer_json_is_taken_as_it_is(tmp_path):
    size = write_byte_tokenizer(tmp_path / "given")
    save_tokenizer(tmp_path / "given", tmp_path / "out", size)
    given, written = (tokenizers.Tokenizer.from_file(str(tmp_path / d / "tokenizer.json")) for d in ("given", "out"))
    assert given.to_str() == written.to_str()


def test_a_byte_order_mark_is_no_fault(tmp_path):
    size = write_byte_tokenizer(tmp_path / "given")
    file = tmp_path / "given" / "tokenizer.json"
    given = tokenizers.Tokenizer.from_file(str(file)).to_str()
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    save_tokenizer(tmp_path / "given", tmp_path / "out", size)
    assert tokenizers.Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).to_str() == given
    assert len(Tokenizer(tmp_path / "given", 512)("a man"))


def other_models(folder):
    write_trained(folder, special=["<|endoftext|>"])


def without_start_and_end(folder):
    write_byte_tokenizer(folder)
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"post_processor": None}))


def only_vocabulary(folder):
    write_trained(folder)
    (folder / "merges.txt").unlink()


def damaged(folder):
    write_trained(folder)
    (folder / "vocab.json").write_text('{"<s>": 0,')


def bert(folder):
    folder.mkdir()
    (folder / "vocab.txt").write_text("[PAD]\n[CLS]\n[SEP]\n")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "tokenizer folder .* does not exist; it must hold vocab.json and merges.txt"),
        (lambda folder: folder.write_text("file"), "does not exist"),
        (
            lambda folder: folder.mkdir(),
            "no tokenizer in .*: it must hold vocab.json and merges.txt, or tokenizer.json",
        ),
        (only_vocabulary, "no tokenizer in .*: it must hold"),
        (bert, "no tokenizer in .*: it must hold"),
        (damaged, "no tokenizer in .*: vocab.json and merges.txt cannot be read"),
        (other_models, "is not RoBERTa's: its special tokens are"),
        (without_start_and_end, "is not RoBERTa's"),
        (write_trained, "has token id .*, but the model knows 20 tokens"),
    ],
)
def test_folders_that_will_not_do(tmp_path, make, message):
    make(tmp_path / "given")
    with pytest.raises(InputError, match=message) as caught:
        save_tokenizer(tmp_path / "given", tmp_path / "out", 20)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_without_folder_and_hub_the_option_is_named(tmp_path, no_hub):
    with pytest.raises(InputError, match="by --tokenizer DIR"):
        save_tokenizer(None, tmp_path / "out", 50265)


@pytest.mark.parametrize("name", ["roberta-base", "FacebookAI/roberta-base"])
def test_the_cache_of_the_hub_is_enough(tmp_path, no_hub, name):
    repository = no_hub / f"models--{name.replace('/', '--')}"
    size = write_trained(repository / "snapshots" / "0123abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abc")
    assert save_tokenizer(None, tmp_path / "out", size) == f"{name} (hub cache)"
    assert (tmp_path / "out" / "tokenizer.json").is_file()


def test_the_hub_is_asked_when_the_cache_has_nothing(tmp_path, no_hub, monkeypatch):
    size = write_byte_tokenizer(tmp_path / "there")
    asked = []

    def download(name, file, *, local_files_only):
        asked.append((name, file, local_files_only))
        if local_files_only:
            raise FileNotFoundError(file)
        return str(tmp_path / "there" / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr("stvg_jax.convert.tokenizer._hub_answers", lambda: True)
    assert save_tokenizer(None, tmp_path / "out", size) == "roberta-base (hub)"
    assert asked[-1] == ("roberta-base", "tokenizer.json", False)


def test_a_hub_that_answers_is_asked_and_one_that_does_not_is_not(tmp_path, monkeypatch):
    import huggingface_hub

    size = write_byte_tokenizer(tmp_path / "there")
    asked, answers = [], iter([True, False])

    def download(name, file, *, local_files_only):
        asked.append(local_files_only)
        if local_files_only:
            raise FileNotFoundError(file)
        return str(tmp_path / "there" / file)

    class Session:
        def head(self, url, timeout):
            if not next(answers):
                raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub.utils, "get_session", Session)
    assert save_tokenizer(None, tmp_path / "out", size) == "roberta-base (hub)"
    with pytest.raises(InputError, match="by --tokenizer DIR"):
        save_tokenizer(None, tmp_path / "other", size)
    assert asked.count(False) == 1
