"""Files from the Hugging Face hub by the name of their repository, and checks of text encoders found there."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stvg_jax.convert.readers.sharded import is_index, shard_names
from stvg_jax.core.errors import InputError, first_line, missing_extra, quoted

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(?:/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
_FILE_ENDINGS = (".pth", ".pt", ".bin", ".safetensors", ".ckpt", ".json")
_CONFIG = "config.json"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
# Settings of the text encoder here, by transformers' names. The tensors do not show them.
_COMPUTES = {
    "model_type": "roberta",
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "position_embedding_type": "absolute",
    "pad_token_id": 1,
}
# transformers' names of the sizes in `backbones.roberta.RobertaConfig`.
_SIZES = {
    "vocab_size": "vocab_size",
    "hidden_size": "width",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "intermediate_size": "hidden",
    "max_position_embeddings": "positions",
}


def is_name(path: Path) -> bool:
    """True if a path that does not exist may be the name of a repository, such as FacebookAI/roberta-base."""
    name = str(path)
    return _NAME.fullmatch(name) is not None and not name.endswith(_FILE_ENDINGS) and not path.exists()


def find_files(
    names: Sequence[str], choices: Sequence[Sequence[str]], *, beside: Sequence[str] = ()
) -> tuple[list[Path], str]:
    """Files from the hub's local cache or, if they are not there, from the hub.

    Args:
        names: names of the repository; the first that has the files is taken.
        choices: groups of files; the first that is complete is taken.
        beside: further files to get into the same folder, where the repository has them.

    Returns:
        Paths of the group's files, and a text that says where they come from.

    Raises:
        InputError: the hub cannot be reached, lacks the files, or asks for a login.
    """
    import huggingface_hub

    failures: list[Exception] = []
    for offline, origin in ((True, "hub cache"), (False, "hub")):
        if not offline and not _hub_answers():
            break
        for name, files in itertools.product(names, choices):
            try:
                paths = [huggingface_hub.hf_hub_download(name, file, local_files_only=offline) for file in files]
            except Exception as error:  # not there, a proxy's page, a full disk: each has an exception of its own
                failures += [] if offline else [error]
                continue
            for file in beside:
                with contextlib.suppress(Exception):
                    huggingface_hub.hf_hub_download(name, file, local_files_only=offline)
            return [Path(path) for path in paths], f"{name} ({origin})"
    raise InputError(_reason(names[0], choices, failures))


def _reason(name: str, choices: Sequence[Sequence[str]], failures: Sequence[Exception]) -> str:
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError

    if not failures:
        return f"{name} is not in the local cache of the Hugging Face hub, and the hub cannot be reached"
    if any(isinstance(error, GatedRepoError) for error in failures):
        return (
            f"{name} is gated: accept its terms at https://huggingface.co/{name} and log in with `hf auth login`, or "
            "download its files yourself"
        )
    if all(isinstance(error, RepositoryNotFoundError) for error in failures):
        return f"the Hugging Face hub has no repository {name}; one that is private needs `hf auth login`"
    if all(isinstance(error, (EntryNotFoundError, RepositoryNotFoundError)) for error in failures):
        return f"{name} on the Hugging Face hub lacks {' or '.join(' and '.join(files) for files in choices)}"
    return f"{name} could not be fetched from the Hugging Face hub: {first_line(failures[-1])}"


def _hub_answers() -> bool:
    """True if the hub can be reached. Without a network each download would be retried for half a minute."""
    from huggingface_hub import constants, utils

    try:
        utils.get_session().head(constants.ENDPOINT, timeout=10)
    except Exception:  # no network, or told to be offline
        return False
    return True


def import_transformers(what: str) -> Any:
    """The module transformers, which is an optional dependency.

    Args:
        what: begins the message if it is not installed.

    Raises:
        InputError: it is not installed.
    """
    # Otherwise every import warns that PyTorch is missing.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    try:
        import transformers
    except ImportError as error:
        raise missing_extra("hub", f"{what} needs transformers") from error
    return transformers


def find_text_encoder(name: str) -> tuple[Path, str]:
    """The weights of a text encoder, with its `config.json` beside them.

    Returns:
        Path of the weights or of their index, and a text that says where they come from.

    Raises:
        InputError: transformers is not installed; see also `find_files`.
    """
    import_transformers("a text encoder by its name on the Hugging Face hub")
    try:
        (_, path), origin = find_files([name], [(_CONFIG, weights) for weights in _WEIGHTS])
        if is_index(path):
            find_files([name], [shard_names(path)])
    except InputError as error:
        raise InputError(f"no text encoder: {error}; or give the file itself") from error
    return path, origin


def check_text_encoder(folder: Path, config: Mapping[str, Any], where: str) -> None:
    """Raises InputError unless the text encoder in a folder computes the same as the model's.

    The tensors do not show the number of heads or the kind of activation.

    Args:
        folder: folder with `config.json`. transformers reads it, because files of old models leave out old defaults.
        config: section `roberta` of the model's configuration.
        where: names the text encoder in messages.
    """
    transformers = import_transformers("a text encoder by its name on the Hugging Face hub")
    try:
        found = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a kind that transformers does not know, or a damaged file
        raise InputError(f"{where} has no {_CONFIG} that transformers can read: {first_line(error)}") from error
    wanted = _COMPUTES | {theirs: config[ours] for theirs, ours in _SIZES.items()}
    # transformers 5 has no choice of positions any more.
    values = {key: getattr(found, key, "absolute" if key == "position_embedding_type" else None) for key in wanted}
    if wrong := [key for key, value in wanted.items() if values[key] != value]:
        told = ", ".join(f"{key} {quoted(values[key], 40)} where the model has {wanted[key]!r}" for key in wrong)
        raise InputError(f"{where} is not the text encoder of the model: {told}")
