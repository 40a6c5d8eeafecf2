"""A TA-STVG small enough to compile in seconds."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from stvg_jax.grounding.registry import make_model
from stvg_jax.inference.demo import tiny_config
from stvg_jax.nn.declare import initialize
from stvg_jax.nn.functional import PureModule
from stvg_jax.tree import unflatten


def tiny_model_config(vocab_size: int = 64) -> dict[str, Any]:
    """The configuration of `tiny`. Most of a test's time is compiling, which grows with the number of layers."""
    config = tiny_config(vocab_size)["model"]
    config["roberta"] |= {"layers": 1}
    config["transformer"] |= {"encoder_layers": 1}
    return config


def tiny(vocab_size: int = 64, **overrides: Any) -> tuple[PureModule, dict]:
    """The module and freshly drawn nested parameters; `overrides` change the model's configuration."""
    module = PureModule(make_model("ta_stvg", tiny_model_config(vocab_size) | overrides, np.float32))
    return module, initialize(unflatten(module.declarations), seed=0)


def apply(module: PureModule, parameters: dict, call, *args: Any) -> Any:
    """`call(model, *args)` under jit, compiled quickly rather than well."""
    run = jax.jit(
        lambda p, *a: module.apply(p, lambda m: call(m, *a)), compiler_options={"xla_backend_optimization_level": 0}
    )
    return run(parameters, *args)
