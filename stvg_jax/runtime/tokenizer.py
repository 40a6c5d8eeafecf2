"""Tokenizers, which turn text into token ids."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from stvg_jax.core.errors import InputError, failures_told, quoted
from stvg_jax.core.json_files import read_text

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_WORD = re.compile(r"\w+|[^\w\s]")


class Tokenizer:
    """A tokenizer read from `tokenizer.json`.

    The file is read by `tokenizers`, the library below transformers: importing transformers would double the start-up
    time of every command.

    Args:
        directory: folder with tokenizer.json.
        max_tokens: tokens of the longest text that the model takes, including start and end tokens.

    Raises:
        InputError: the file is missing or is not a tokenizer.
    """

    def __init__(self, directory: Path, max_tokens: int):
        import tokenizers

        path = directory / "tokenizer.json"
        if not path.is_file():
            raise InputError(f"{directory} has no tokenizer.json; convert the checkpoint again with --tokenizer DIR")
        text = read_text(path)
        with failures_told(f"{path} is not a tokenizer"):
            self._tokenizer = tokenizers.Tokenizer.from_str(text)
        self._path = path
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.max_tokens = max_tokens

    def __call__(self, text: str) -> np.ndarray:
        """Token ids of a text, int32 [l], including start and end tokens.

        Raises:
            InputError: the text is longer than the model takes, and is never cut; or the tokenizer is damaged.
        """
        ids = self._encode(text)
        if len(ids) > self.max_tokens:
            raise InputError(
                f"the sentence has {len(ids)} tokens with its subject; the text encoder takes at most "
                f"{self.max_tokens}. Shorten it: {text[:60]!r}..."
            )
        return np.array(ids, np.int32)

    def cut(self, text: str) -> np.ndarray:
        """Token ids of a text, int32 [l], including start and end tokens; of a text that is too long the first ids and
        the end token.

        Raises:
            InputError: the tokenizer is damaged.
        """
        ids = self._encode(text)
        too_long = len(ids) > self.max_tokens
        return np.array([*ids[: self.max_tokens - 1], ids[-1]] if too_long else ids, np.int32)

    def unknown(self, text: str) -> tuple[str, ...]:
        """Words of a text that have no token, each once, in their order; none for a tokenizer of parts of words, and no
        punctuation.

        Raises:
            InputError: the tokenizer is damaged.
        """
        missing = self._tokenizer.token_to_id("<unk>")
        with failures_told(f"{self._path} is a damaged tokenizer, which fails on {quoted(text)}"):
            encoding = self._tokenizer.encode(text)
        places = zip(encoding.ids, encoding.offsets, strict=True)
        words = (text[start:end] for token, (start, end) in places if token == missing)
        return tuple(dict.fromkeys(word for word in words if any(map(str.isalnum, word))))

    def _encode(self, text: str) -> list[int]:
        with failures_told(f"{self._path} is a damaged tokenizer, which fails on {quoted(text)}"):
            ids = self._tokenizer.encode(text).ids
        if max(ids, default=0) > np.iinfo(np.int32).max:
            raise InputError(
                f"the tokenizer gives the token id {max(ids)}, which no model has; use the model's tokenizer"
            )
        return ids


def write_word_tokenizer(directory: Path, texts: Iterable[str], most: int) -> int:
    """Writes a tokenizer.json with one token for each word of `texts`, in lower case, for training from scratch.

    Start, end and padding are RoBERTa's. The same words give the same file, in any order.

    Args:
        directory: folder of the file; made if missing.
        texts: texts that the model will read.
        most: rows of the model's token table.

    Returns:
        The number of tokens.

    Raises:
        InputError: there are more words than rows.
    """
    import tokenizers

    words = sorted({word for text in texts for word in _WORD.findall(text.lower())})
    vocabulary = {token: number for number, token in enumerate((*_SPECIAL, *words))}
    if len(vocabulary) > most:
        raise InputError(
            f"there are {len(words):,} different words, the model's token table has room for "
            f"{most - len(_SPECIAL):,}; raise config.model.roberta.vocab_size or use a sub-word tokenizer"
        )
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"))
    return len(vocabulary)
