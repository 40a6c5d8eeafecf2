"""RoBERTa's tokenizer: found, checked, and written into a checkpoint."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from stvg_jax.convert import hub
from stvg_jax.core.errors import InputError, failures_told
from stvg_jax.core.files import in_utf8
from stvg_jax.core.hub import find_files
from stvg_jax.core.json_files import read_text

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# The name in the released code, and the present one on the hub.
HUB_NAMES = ("roberta-base", "FacebookAI/roberta-base")
# Each of these is a complete tokenizer.
_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
# Files that tell transformers which tokenizer to make.
_DESCRIPTIONS = ("tokenizer_config.json", "config.json")
_SPECIAL = {"<s>": 0, "<pad>": 1, "</s>": 2}
_PROBE = "Hello world"
# RoBERTa-base, from its documentation in transformers.
_BASE_SIZE, _BASE_IDS = 50_265, [0, 31414, 232, 2]


def save_tokenizer(source: Path | None, out: Path, vocab_size: int) -> str:
    """Writes `out/tokenizer.json`.

    If transformers is installed and the files say which kind of tokenizer they are, its `AutoTokenizer` reads them.

    Args:
        source: folder with tokenizer.json, or with vocab.json and merges.txt, or the name of a repository on the
            Hugging Face hub; None for roberta-base. The local cache of the hub is searched first.
        out: folder to make.
        vocab_size: rows of the model's token table.

    Returns:
        A text that says where the tokenizer came from.

    Raises:
        InputError: there is none, it is not RoBERTa's, or it has ids for which the model has no row.
    """
    if source is None or hub.is_name(source):
        folder, origin = _from_hub(HUB_NAMES if source is None else (str(source),))
    elif source.is_dir():
        folder, origin = source, str(source)
    else:
        raise InputError(f"tokenizer folder {source} does not exist; it must hold vocab.json and merges.txt")
    tokenizer = _read(folder)
    with failures_told(f"the tokenizer in {origin} is damaged"):
        _check(tokenizer, origin, vocab_size, is_base=source is None)
    out.mkdir(parents=True)
    (out / "tokenizer.json").write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
    return origin


def _check(tokenizer: Tokenizer, origin: str, vocab_size: int, *, is_base: bool) -> None:
    found = {token: tokenizer.token_to_id(token) for token in _SPECIAL}
    if found != _SPECIAL or tokenizer.encode("").ids != [_SPECIAL["<s>"], _SPECIAL["</s>"]]:
        raise InputError(f"the tokenizer in {origin} is not RoBERTa's: its special tokens are {found}, not {_SPECIAL}")
    vocabulary = tokenizer.get_vocab()
    if (largest := max(vocabulary.values())) >= vocab_size:
        raise InputError(f"the tokenizer in {origin} has token id {largest}, but the model knows {vocab_size} tokens")
    probe = tokenizer.encode(_PROBE)
    # Letters that are in no token are left out or become <unk>.
    if "".join(probe.tokens[1:-1]).lstrip("Ġ") != _PROBE.replace(" ", "Ġ"):
        raise InputError(
            f"the tokenizer in {origin} cannot spell {_PROBE!r} with its {len(vocabulary):,} tokens: a part of it is "
            "missing; download it again"
        )
    if is_base and vocab_size == _BASE_SIZE and (len(vocabulary) != _BASE_SIZE or probe.ids != _BASE_IDS):
        raise InputError(
            f"the tokenizer in {origin} is not that of RoBERTa-base: its {len(vocabulary):,} tokens make {probe.ids} "
            f"of {_PROBE!r}, not {_BASE_IDS}; download it again"
        )


def _read(folder: Path) -> Tokenizer:
    names = next((names for names in _FILES if all((folder / name).is_file() for name in names)), None)
    if names is None:
        raise InputError(f"no tokenizer in {folder}: it must hold vocab.json and merges.txt, or tokenizer.json")
    with failures_told(f"no tokenizer in {folder}: {' and '.join(names)} cannot be read"):
        plain = _by_tokenizers(folder, names)
        tokenizer = _by_transformers(folder) or plain
    # If transformers finds no vocabulary, it makes an empty tokenizer without a warning.
    if lost := plain.get_vocab().keys() - tokenizer.get_vocab().keys():
        raise InputError(
            f"no tokenizer in {folder}: transformers reads {tokenizer.get_vocab_size():,} tokens of it and loses "
            f"{len(lost):,}; leave only {' and '.join(names)} there"
        )
    return tokenizer


def _by_transformers(folder: Path) -> Tokenizer | None:
    """The tokenizer that `tokenizer_config.json` or `config.json` describes; None without them or transformers."""
    if not any((folder / name).is_file() for name in _DESCRIPTIONS) or importlib.util.find_spec("transformers") is None:
        return None
    transformers = hub.import_transformers("the tokenizer")
    with in_utf8(folder) as readable:
        made = transformers.AutoTokenizer.from_pretrained(
            readable, local_files_only=True, use_fast=True, trust_remote_code=False
        )
    tokenizer = made.backend_tokenizer
    # The loader decides to which length texts are padded.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _by_tokenizers(folder: Path, names: tuple[str, ...]) -> Tokenizer:
    from tokenizers import Tokenizer

    if len(names) == 1:
        return Tokenizer.from_str(read_text(folder / names[0]))
    with in_utf8(folder) as readable:
        return _roberta(*(str(readable / name) for name in names))


def _roberta(vocab: str, merges: str) -> Tokenizer:
    """RoBERTa's byte-level BPE."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.BPE.from_file(vocab, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    start, end = ((token, _SPECIAL[token]) for token in ("<s>", "</s>"))
    tokenizer.post_processor = processors.RobertaProcessing(end, start, add_prefix_space=False)
    special = (*_SPECIAL, "<unk>", "<mask>")
    tokenizer.add_special_tokens([token for token in special if tokenizer.token_to_id(token) is not None])
    return tokenizer


def _from_hub(names: tuple[str, ...]) -> tuple[Path, str]:
    """Folder of the tokenizer's files, and a text that says where they come from."""
    try:
        paths, origin = find_files(names, _FILES, beside=_DESCRIPTIONS)
    except InputError as error:
        raise InputError(
            f"no tokenizer: {error}; or give a folder with its vocab.json and merges.txt by --tokenizer DIR"
        ) from error
    return paths[0].parent, origin
