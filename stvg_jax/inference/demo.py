"""A model too small to be right, to try the program on without any download."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stvg_jax import checkpoint
from stvg_jax.errors import InputError
from stvg_jax.grounding.registry import default_config, make_model
from stvg_jax.nn.declare import initialize
from stvg_jax.nn.functional import PureModule
from stvg_jax.tree import flatten, unflatten

_NOTE = "untrained: its answers are arbitrary"


def tiny_config(vocab_size: int) -> dict[str, Any]:
    """A TA-STVG of the released shape and a fraction of its size, as a nested mapping."""
    model = default_config("ta_stvg")
    model["resnet"] |= {"blocks": (1, 1, 1, 1), "width": 8}
    model["swin"] |= {"width": 16, "depths": (1, 1, 2, 1), "heads": (1, 2, 4, 8)}
    model["roberta"] |= {"vocab_size": vocab_size, "width": 32, "layers": 2, "heads": 4, "hidden": 64}
    model["transformer"] |= {"width": 32, "heads": 4, "hidden": 64, "encoder_layers": 2, "decoder_layers": 2}
    return {"name": "ta_stvg", "model": model, "clip": {"sampling": "hcstvg", "resolution": 96}}


def write_byte_tokenizer(directory: Path) -> int:
    """Writes a tokenizer.json in RoBERTa's form whose tokens are single bytes; returns its number of tokens."""
    import tokenizers

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(special + alphabet)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"))
    return len(vocabulary)


def write_untrained_checkpoint(directory: Path, seed: int = 0) -> None:
    """Writes a whole checkpoint of a tiny TA-STVG with freshly drawn parameters, replacing an earlier such one.

    Raises:
        InputError: if there is anything else at `directory`, or it cannot be written.
    """
    if directory.exists() and checkpoint.describe(directory).note != _NOTE:
        raise InputError(f"{directory} is a checkpoint of yours, not an untrained one; choose another folder")
    with checkpoint.new_directory(directory, force=True) as partial:
        config = tiny_config(write_byte_tokenizer(partial / checkpoint.TOKENIZER))
        declared = PureModule(make_model(config["name"], config["model"], "float32")).declarations
        parameters = flatten(initialize(unflatten(declared), seed))
        description = checkpoint.Description(
            model=config["name"],
            config={"model": config["model"], "clip": config["clip"]},
            note=_NOTE,
        )
        checkpoint.write(partial, parameters, description)
        (partial / "conversion.json").write_text(json.dumps({"source": "drawn", "seed": seed}) + "\n")
