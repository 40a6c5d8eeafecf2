"""Finding RoBERTa's tokenizer and putting its files into a checkpoint."""

from __future__ import annotations

import os
from pathlib import Path

from stvg_jax.errors import InputError

HUB_NAME = "roberta-base"


def save_tokenizer(source: Path | None, out: Path, vocab_size: int) -> str:
    """Writes tokenizer files into `out`.

    Args:
        source: folder with vocab.json and merges.txt, or tokenizer.json; None looks for roberta-base in the local cache
            of the Hugging Face hub and then on the hub.
        out: folder to write.
        vocab_size: rows of the model's token table.

    Returns:
        Where the tokenizer came from.

    Raises:
        InputError: if there is none, or it has ids that the model has no row for.
    """
    if source is not None and not source.is_dir():
        raise InputError(f"tokenizer folder {source} does not exist; it must hold vocab.json and merges.txt")
    tokenizer, origin = (_load(str(source)), str(source)) if source is not None else _from_hub()
    largest = max(tokenizer.get_vocab().values())
    if largest >= vocab_size:
        raise InputError(f"the tokenizer in {origin} has token id {largest}, but the model knows {vocab_size} tokens")
    tokenizer.save_pretrained(str(out))
    return origin


def _load(name: str, **options):
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from transformers import RobertaTokenizerFast

    try:
        return RobertaTokenizerFast.from_pretrained(name, **options)
    except Exception as error:  # transformers raises whatever its parts raise
        raise InputError(f"no tokenizer in {name}: {str(error).strip().splitlines()[0]}") from error


def _from_hub():
    for options, origin in (({"local_files_only": True}, "hub cache"), ({}, "hub")):
        try:
            return _load(HUB_NAME, **options), f"{HUB_NAME} ({origin})"
        except InputError:
            continue
    raise InputError(
        f"the tokenizer of {HUB_NAME} is neither in the local hub cache nor could it be fetched; "
        "give a folder with its vocab.json and merges.txt by --tokenizer DIR"
    )
