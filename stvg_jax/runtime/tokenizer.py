"""Tokenizers, which turn text into token ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stvg_jax.core.errors import InputError, first_line
from stvg_jax.core.json_files import read_text


class Tokenizer:
    """A byte-level BPE tokenizer read from `tokenizer.json`.

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
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(read_text(path))
        except Exception as error:  # the library raises bare Exception
            raise InputError(f"{path} is not a tokenizer: {first_line(error)}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.max_tokens = max_tokens

    def __call__(self, text: str) -> np.ndarray:
        """Token ids of a text, int32 [l], including start and end tokens.

        Raises:
            InputError: the text is longer than the model takes; it is never cut.
        """
        ids = self._tokenizer.encode(text).ids
        if len(ids) > self.max_tokens:
            raise InputError(
                f"the sentence has {len(ids)} tokens with its subject; the text encoder takes at most "
                f"{self.max_tokens}. Shorten it: {text[:60]!r}..."
            )
        if max(ids, default=0) > np.iinfo(np.int32).max:
            raise InputError(
                f"the tokenizer gives the token id {max(ids)}, which no model has; use the model's tokenizer"
            )
        return np.array(ids, np.int32)
