"""Text to token ids, with the tokenizer that came with a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stvg_jax.core.errors import InputError, first_line
from stvg_jax.core.json_files import read_text


class Tokenizer:
    """A byte-level BPE tokenizer read from `tokenizer.json`.

    The `tokenizers` library, which transformers' own tokenizers run on, reads it: importing transformers would double
    the start-up time of every command.

    Args:
        directory: with tokenizer.json.
        max_tokens: the longest text the model takes, start and end tokens included.

    Raises:
        InputError: if the file is missing or is not a tokenizer.
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
        """int32 [l], start and end tokens included.

        Raises:
            InputError: for a text longer than the model takes. Nothing is cut silently.
        """
        ids = self._tokenizer.encode(text).ids
        if len(ids) > self.max_tokens:
            raise InputError(
                f"the sentence has {len(ids)} tokens with its subject; the text encoder takes at most "
                f"{self.max_tokens}. Shorten it: {text[:60]!r}..."
            )
        if max(ids, default=0) > np.iinfo(np.int32).max:
            raise InputError(f"the tokenizer gives the token id {max(ids)}, which no model has")
        return np.array(ids, np.int32)
