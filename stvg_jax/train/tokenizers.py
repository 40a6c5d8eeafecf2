"""A tokenizer for training from scratch on a small vocabulary."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from stvg_jax.core.errors import InputError

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_WORD = re.compile(r"\w+|[^\w\s]")


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
