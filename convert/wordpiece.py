"""BERT's uncased WordPiece tokenizer: made of `vocab.txt`, checked, and written into a checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from stvg_jax.convert import hub
from stvg_jax.core.characters import shown
from stvg_jax.core.errors import InputError, failures_told, quoted
from stvg_jax.core.json_files import read_json, read_text

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# The name in the released code, and the present one on the hub.
HUB_NAMES = ("bert-base-uncased", "google-bert/bert-base-uncased")
# Start of the decoder's texts, the last row of a token table that has one row more than the vocabulary (BLIP-2).
DECODER_START = "[DEC]"

_VOCABULARY, _DESCRIPTION = "vocab.txt", "tokenizer_config.json"
_SPECIAL = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102}
# A longer word is unknown, as in transformers.
_LONGEST_WORD = 100


def save_wordpiece(source: Path | None, out: Path, vocab_size: int) -> str:
    """Writes `out/tokenizer.json`.

    Args:
        source: folder with vocab.txt and perhaps tokenizer_config.json, or the name of a repository on the Hugging Face
            hub; None for bert-base-uncased. The local cache of the hub is searched first.
        out: folder to make.
        vocab_size: rows of the model's token table. If there is one more than tokens, the last row is `[DEC]`.

    Returns:
        A text that says where the tokenizer came from.

    Raises:
        InputError: there is none, it is not that of an uncased BERT, or its size is not that of the table.
    """
    if source is None or hub.is_name(source):
        names = HUB_NAMES if source is None else (str(source),)
        paths, origin = hub.find_files(names, ((_VOCABULARY,),), beside=(_DESCRIPTION,))
        folder = paths[0].parent
    elif source.is_dir():
        folder, origin = source, str(source)
    else:
        raise InputError(f"tokenizer folder {source} does not exist; it must hold {_VOCABULARY}")
    tokenizer = make_wordpiece(_read_vocabulary(folder, vocab_size), vocab_size)
    out.mkdir(parents=True)
    (out / "tokenizer.json").write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
    return origin


def make_wordpiece(tokens: list[str], vocab_size: int) -> Tokenizer:
    """The tokenizer with these tokens, `BertTokenizer` of transformers with `do_lower_case`.

    Args:
        tokens: the vocabulary, in the order of the ids.
        vocab_size: as for `save_wordpiece`.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    ids = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=_LONGEST_WORD))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    end, start = ((token, _SPECIAL[token]) for token in ("[SEP]", "[CLS]"))
    tokenizer.post_processor = processors.BertProcessing(end, start)
    decoder_start = [DECODER_START] * (vocab_size == len(tokens) + 1)
    tokenizer.add_special_tokens([*_SPECIAL, *decoder_start])
    return tokenizer


def _read_vocabulary(folder: Path, vocab_size: int) -> list[str]:
    path, description = folder / _VOCABULARY, folder / _DESCRIPTION
    if not path.is_file():
        raise InputError(f"no tokenizer in {folder}: it must hold {_VOCABULARY}, a token in each line")
    if description.is_file():
        with failures_told(f"{description} cannot be read"):
            lowers = read_json(description).get("do_lower_case", True)
        if lowers is not True:
            raise InputError(f"{description} has do_lower_case {shown(lowers)}; the model reads texts in lower case")
    tokens = read_text(path).removesuffix("\n").split("\n")
    found = {token: tokens.index(token) if token in tokens else None for token in _SPECIAL}
    if found != _SPECIAL:
        raise InputError(
            f"the tokenizer in {folder} is not BERT's: its special tokens are {json.dumps(found)}, not "
            f"{json.dumps(_SPECIAL)}"
        )
    if len(set(tokens)) != len(tokens):
        twice = next(token for number, token in enumerate(tokens) if token in tokens[:number])
        raise InputError(f"{path} has the token {quoted(twice)} twice; download it again")
    if vocab_size not in (len(tokens), len(tokens) + 1):
        raise InputError(
            f"{path} has {len(tokens):,} tokens, but the model knows {vocab_size:,}; its table has a row for each "
            f"token, and perhaps one for {DECODER_START}"
        )
    return tokens
