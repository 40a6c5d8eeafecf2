"""Text encoders by their names on the Hugging Face hub: found, and checked."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stvg_jax.convert.readers.sharded import is_index, shard_names
from stvg_jax.core.errors import InputError, first_line, missing_extra, quoted
from stvg_jax.core.hub import find_files

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
        # By name: the type checker would spend a third of its time on the package, whose module has no type here.
        return importlib.import_module("transformers")
    except ImportError as error:
        raise missing_extra("hub", f"{what} needs transformers") from error


def find_text_encoder(name: str) -> tuple[Path, str]:
    """The weights of a text encoder, with its `config.json` beside them.

    Returns:
        Path of the weights or of their index, and a text that says where they come from.

    Raises:
        InputError: transformers is not installed; see also `stvg_jax.core.hub.find_files`.
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
