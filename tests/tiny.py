"""Models small enough to compile in seconds, and a checkpoint of one."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from stvg_jax.core import checkpoint
from stvg_jax.core.registry import default_config, make_model
from stvg_jax.core.tree import flatten, unflatten
from stvg_jax.nn.declare import PureModule, initialize


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
    """Writes a whole checkpoint of a TA-STVG with freshly drawn parameters into a new directory. Every process that
    reads it compiles it, so it has one layer of each kind."""
    with checkpoint.new_directory(directory) as partial:
        config = tiny_config(write_byte_tokenizer(partial / checkpoint.TOKENIZER))
        model = config["model"]
        model["resnet"] |= {"blocks": (1, 1)}
        model["swin"] |= {"depths": (1, 1), "heads": (1, 2)}
        model["roberta"] |= {"layers": 1}
        model["transformer"] |= {"encoder_layers": 1, "decoder_layers": 1}
        declared = PureModule(make_model(config["name"], config["model"], "float32")).declarations
        parameters = flatten(initialize(unflatten(declared), seed))
        description = checkpoint.Description(
            model=config["name"],
            config={"model": config["model"], "clip": config["clip"]},
            note="untrained: its answers are arbitrary",
        )
        checkpoint.write(partial, parameters, description)
        (partial / "conversion.json").write_text(json.dumps({"source": "drawn", "seed": seed}) + "\n")


def tiny_model_config(vocab_size: int = 64, system: str = "ta_stvg") -> dict[str, Any]:
    """The configuration of `tiny`. Most of a test's time is compiling, which grows with the number of layers."""
    config = tiny_config(vocab_size)["model"]
    config["roberta"] |= {"layers": 1}
    config["transformer"] |= {"encoder_layers": 1}
    own = default_config(system)
    return own | {name: value for name, value in config.items() if name in own and isinstance(value, dict)}


def shallow(system: str = "ta_stvg") -> dict[str, Any]:
    """Changes to `tiny` that leave one stage of each backbone, for tests of what comes after them: a cell for 4 x 4
    pixels."""
    config = tiny_model_config(system=system)
    stages = {"resnet": {"blocks": (1,)}, "swin": {"depths": (1,), "heads": (1,)}}
    return {name: config[name] | one for name, one in stages.items() if name in config}


def thin(system: str = "ta_stvg") -> dict[str, Any]:
    """As `shallow`, with a single layer of each decoder: for tests of what is around layers, not between them."""
    return shallow(system) | {"transformer": tiny_model_config(system=system)["transformer"] | {"decoder_layers": 1}}


def two_stages(system: str = "ta_stvg") -> dict[str, Any]:
    """Changes to `tiny` that leave two stages of each backbone, and so what is between stages: a cell for 8 x 8
    pixels."""
    config = tiny_model_config(system=system)
    stages = {"resnet": {"blocks": (1, 1)}, "swin": {"depths": (1, 1), "heads": (1, 2)}}
    return {name: config[name] | two for name, two in stages.items() if name in config}


@functools.cache
def _plain_tiny(vocab_size: int, system: str) -> tuple[PureModule, dict]:
    module = PureModule(make_model(system, tiny_model_config(vocab_size, system), np.float32))
    return module, initialize(unflatten(module.declarations), seed=0)


def tiny(vocab_size: int = 64, system: str = "ta_stvg", **overrides: Any) -> tuple[PureModule, dict]:
    """The module and freshly drawn nested parameters; `overrides` change the model's configuration.

    Without overrides all callers get one module, whose compiled programs they share, and parameters of their own.
    """
    if not overrides:
        module, parameters = _plain_tiny(vocab_size, system)
        return module, jax.tree.map(lambda leaf: leaf, parameters)
    module = PureModule(make_model(system, tiny_model_config(vocab_size, system) | overrides, np.float32))
    return module, initialize(unflatten(module.declarations), seed=0)


@functools.cache
def _program(module: PureModule, call: Callable | None) -> Callable:
    run = (lambda m, *args: m(*args)) if call is None else call
    compiled = jax.jit(lambda p, *a: module.apply(p, lambda m: run(m, *a)))
    # Numpy arrays, since every operation on others would be a program of its own.
    return lambda *args: jax.device_get(compiled(*args))


def forward(module: PureModule, parameters: dict, *args: Any) -> Any:
    """The model called with `args`; compiled once for a module and shapes."""
    return _program(module, None)(parameters, *args)


def apply(module: PureModule, parameters: dict, call: Callable, *args: Any) -> Any:
    """`call(model, *args)` under jit; compiled once for a module, a function and shapes."""
    return _program(module, call)(parameters, *args)
