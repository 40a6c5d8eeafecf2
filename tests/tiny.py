"""Models small enough to compile in seconds."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from stvg_jax.grounding.registry import default_config, make_model
from stvg_jax.inference.demo import tiny_config
from stvg_jax.nn.declare import initialize
from stvg_jax.nn.functional import PureModule
from stvg_jax.tree import unflatten


def tiny_model_config(vocab_size: int = 64, system: str = "ta_stvg") -> dict[str, Any]:
    """The configuration of `tiny`. Most of a test's time is compiling, which grows with the number of layers."""
    config = tiny_config(vocab_size)["model"]
    config["roberta"] |= {"layers": 1}
    config["transformer"] |= {"encoder_layers": 1}
    own = default_config(system)
    return own | {name: value for name, value in config.items() if name in own}


def tiny(vocab_size: int = 64, system: str = "ta_stvg", **overrides: Any) -> tuple[PureModule, dict]:
    """The module and freshly drawn nested parameters; `overrides` change the model's configuration."""
    module = PureModule(make_model(system, tiny_model_config(vocab_size, system) | overrides, np.float32))
    return module, initialize(unflatten(module.declarations), seed=0)


def apply(module: PureModule, parameters: dict, call, *args: Any) -> Any:
    """`call(model, *args)` under jit, compiled quickly rather than well."""
    run = jax.jit(
        lambda p, *a: module.apply(p, lambda m: call(m, *a)), compiler_options={"xla_backend_optimization_level": 0}
    )
    return run(parameters, *args)
