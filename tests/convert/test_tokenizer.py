"""Tokenizers: from a folder, from the hub's cache, and none."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

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
    monkeypatch.setattr("stvg_jax.core.hub.answers", lambda: False)
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


SENTENCES = (
    "the man the man in blue leaves.",
    "a  dog, naïve & 'old'",
    " room",
    "犬が走る",
    "don't 3.14",
    "<s>",
    "a\nb\u200b",
    "",
)


def described(folder, **description):
    """The same folder with the files that say what the tokenizer is."""
    (folder / "config.json").write_text(json.dumps({"model_type": "roberta"}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RobertaTokenizer"} | description))


def saved(folder, out, size):
    save_tokenizer(folder, out, size)
    return tokenizers.Tokenizer.from_file(str(out / "tokenizer.json"))


def test_same_ids_with_and_without_transformers(tmp_path):
    """From vocab.json and merges.txt, and from the tokenizer.json made of them."""
    from transformers import AutoTokenizer

    size = write_trained(tmp_path / "given")
    plain = saved(tmp_path / "given", tmp_path / "plain", size)
    described(tmp_path / "given")
    described(tmp_path / "plain")
    theirs = AutoTokenizer.from_pretrained(str(tmp_path / "given"))
    for name in ("given", "plain"):
        made = saved(tmp_path / name, tmp_path / f"{name}_out", size)
        for text in SENTENCES:
            assert plain.encode(text).ids == made.encode(text).ids == theirs(text)["input_ids"], text


def test_transformers_heeds_what_the_folder_says(tmp_path, monkeypatch):
    size = write_trained(tmp_path / "given")
    described(tmp_path / "given", add_prefix_space=True, model_max_length=3)
    made = saved(tmp_path / "given", tmp_path / "out", size)
    assert made.encode("man in blue").tokens == ["<s>", "Ġman", "Ġin", "Ġblue", "</s>"]
    monkeypatch.setitem(sys.modules, "transformers", None)
    plain = saved(tmp_path / "given", tmp_path / "plain", size)
    assert plain.encode("man in blue").tokens[1] != "Ġman"


def test_an_empty_tokenizer_of_transformers_is_found_out(tmp_path, monkeypatch):
    """As it makes of a folder whose files it does not find."""
    import transformers

    size = write_trained(tmp_path / "given")
    described(tmp_path / "given")
    empty = transformers.RobertaTokenizer()
    assert len(empty) < 10
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *args, **options: empty)
    with pytest.raises(InputError, match="transformers reads 5 tokens of it and loses 278; leave only vocab.json and"):
        save_tokenizer(tmp_path / "given", tmp_path / "out", size)


def test_a_vocabulary_without_letters_is_found_out(tmp_path):
    size = write_byte_tokenizer(tmp_path / "given")
    file = tmp_path / "given" / "tokenizer.json"
    content = json.loads(file.read_text())
    del content["model"]["vocab"]["H"]
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="cannot spell 'Hello world' with its 259 tokens: a part of it is missing"):
        save_tokenizer(tmp_path / "given", tmp_path / "out", size)


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


def cached(cache, name):
    """The folder of a repository in a cache of the hub, to be made."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123abc")
    return repository / "snapshots" / "0123abc"


@pytest.mark.parametrize("name", ["roberta-base", "FacebookAI/roberta-base"])
def test_the_cache_of_the_hub_is_enough(tmp_path, no_hub, name):
    size = write_trained(cached(no_hub, name))
    assert save_tokenizer(None, tmp_path / "out", size) == f"{name} (hub cache)"
    assert (tmp_path / "out" / "tokenizer.json").is_file()


def test_a_tokenizer_by_its_name(tmp_path, no_hub, monkeypatch):
    size = write_trained(cached(no_hub, "me/other"))
    assert save_tokenizer(Path("me/other"), tmp_path / "out", size) == "me/other (hub cache)"
    with pytest.raises(InputError, match="^no tokenizer: me/none is not in the local cache .* by --tokenizer DIR$"):
        save_tokenizer(Path("me/none"), tmp_path / "none", size)
    # A folder of this name comes first.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me" / "other").mkdir(parents=True)
    with pytest.raises(InputError, match="no tokenizer in me/other: it must hold"):
        save_tokenizer(Path("me/other"), tmp_path / "none", size)


def test_the_default_must_be_that_of_roberta_base(tmp_path, no_hub):
    size = write_trained(cached(no_hub, "roberta-base"))
    with pytest.raises(InputError, match=rf"not that of RoBERTa-base: its {size} tokens make \[0, .* not \[0, 31414"):
        save_tokenizer(None, tmp_path / "out", 50_265)
    # One that was asked for may be another.
    save_tokenizer(no_hub / "models--roberta-base" / "snapshots" / "0123abc", tmp_path / "out", 50_265)


def test_the_hub_is_asked_when_the_cache_has_nothing(tmp_path, no_hub, monkeypatch):
    size = write_byte_tokenizer(tmp_path / "there")
    asked = []

    def download(name, file, *, local_files_only):
        asked.append((name, file, local_files_only))
        if local_files_only:
            raise FileNotFoundError(file)
        return str(tmp_path / "there" / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr("stvg_jax.core.hub.answers", lambda: True)
    assert save_tokenizer(None, tmp_path / "out", size) == "roberta-base (hub)"
    files = [file for name, file, offline in asked if (name, offline) == ("roberta-base", False)]
    assert files == ["tokenizer.json", "tokenizer_config.json", "config.json"]


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
    assert asked.count(False) == 3


def test_a_table_without_the_token_for_unknown_letters(tmp_path):
    size = write_byte_tokenizer(tmp_path)
    described = json.loads((tmp_path / "tokenizer.json").read_text())
    for token in ("<unk>", *"Helowrd"):
        described["model"]["vocab"].pop(token, None)
    (tmp_path / "tokenizer.json").write_text(json.dumps(described))
    with pytest.raises(InputError, match="^the tokenizer in .* is damaged: Unk token .* not found"):
        save_tokenizer(tmp_path, tmp_path / "out", size)
    assert not (tmp_path / "out").exists()
