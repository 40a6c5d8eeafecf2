"""Finding RoBERTa's tokenizer and putting it into a checkpoint."""

from __future__ import annotations

import itertools
from pathlib import Path

from stvg_jax.core.errors import InputError, first_line
from stvg_jax.core.files import in_utf8
from stvg_jax.core.json_files import read_text

# What the reference calls it, and where the hub keeps it now.
HUB_NAMES = ("roberta-base", "FacebookAI/roberta-base")
# Either is a whole tokenizer.
_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
_SPECIAL = {"<s>": 0, "<pad>": 1, "</s>": 2}


def save_tokenizer(source: Path | None, out: Path, vocab_size: int) -> str:
    """Writes `out/tokenizer.json`.

    Args:
        source: folder with tokenizer.json, or with vocab.json and merges.txt; None looks for roberta-base in the local
            cache of the Hugging Face hub and then on the hub.
        out: folder to make.
        vocab_size: rows of the model's token table.

    Returns:
        Where the tokenizer came from.

    Raises:
        InputError: if there is none, it is not RoBERTa's, or it has ids that the model has no row for.
    """
    if source is not None and not source.is_dir():
        raise InputError(f"tokenizer folder {source} does not exist; it must hold vocab.json and merges.txt")
    folder, origin = (source, str(source)) if source is not None else _from_hub()
    tokenizer = _read(folder)
    found = {token: tokenizer.token_to_id(token) for token in _SPECIAL}
    if found != _SPECIAL or tokenizer.encode("").ids != [_SPECIAL["<s>"], _SPECIAL["</s>"]]:
        raise InputError(f"the tokenizer in {origin} is not RoBERTa's: its special tokens are {found}, not {_SPECIAL}")
    largest = max(tokenizer.get_vocab().values())
    if largest >= vocab_size:
        raise InputError(f"the tokenizer in {origin} has token id {largest}, but the model knows {vocab_size} tokens")
    out.mkdir(parents=True)
    (out / "tokenizer.json").write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
    return origin


def _read(folder: Path):
    # Not by transformers: given a folder without these files it makes an empty tokenizer and says nothing.
    import tokenizers

    names = next((names for names in _FILES if all((folder / name).is_file() for name in names)), None)
    if names is None:
        raise InputError(f"no tokenizer in {folder}: it must hold vocab.json and merges.txt, or tokenizer.json")
    paths = [folder / name for name in names]
    try:
        if len(paths) == 1:
            return tokenizers.Tokenizer.from_str(read_text(*paths))
        with in_utf8(folder) as readable:
            return _roberta(*(str(readable / name) for name in names))
    except Exception as error:  # the library raises bare Exception
        raise InputError(
            f"no tokenizer in {folder}: {' and '.join(names)} cannot be read: {first_line(error)}"
        ) from error


def _roberta(vocab: str, merges: str):
    """Byte-level BPE as RoBERTa uses it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.BPE.from_file(vocab, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    start, end = ((token, _SPECIAL[token]) for token in ("<s>", "</s>"))
    tokenizer.post_processor = processors.RobertaProcessing(end, start, add_prefix_space=False)
    special = (*_SPECIAL, "<unk>", "<mask>")
    tokenizer.add_special_tokens([token for token in special if tokenizer.token_to_id(token) is not None])
    return tokenizer


def _from_hub() -> tuple[Path, str]:
    """Folder of the tokenizer's files, and where they come from."""
    import huggingface_hub

    for offline, origin in ((True, "hub cache"), (False, "hub")):
        if not offline and not _hub_answers():
            break
        for name, files in itertools.product(HUB_NAMES, _FILES):
            try:
                paths = [huggingface_hub.hf_hub_download(name, f, local_files_only=offline) for f in files]
            except Exception:  # not there, a proxy's page, a full disk: each has an exception of its own
                continue
            return Path(paths[0]).parent, f"{name} ({origin})"
    raise InputError(
        f"the tokenizer of {HUB_NAMES[0]} is neither in the local hub cache nor could it be fetched; "
        "give a folder with its vocab.json and merges.txt by --tokenizer DIR"
    )


def _hub_answers() -> bool:
    """Asked once, because downloads without a network are retried for half a minute each."""
    import huggingface_hub

    try:
        huggingface_hub.utils.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=10)
    except Exception:  # no network, or told to be offline
        return False
    return True
