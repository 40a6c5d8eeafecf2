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


def tiny(vocab_size: int = 64, **overrides: Any) -> tuple[PureModule, dict]:
    """The module and freshly drawn nested parameters; `overrides` change the model's configuration."""
    config = tiny_config(vocab_size)["model"] | overrides
    module = PureModule(make_model("ta_stvg", config, np.float32))
    return module, initialize(unflatten(module.declarations), seed=0)


def apply(module: PureModule, parameters: dict, call) -> Any:
    """`call(model)` under jit."""
    return jax.jit(lambda p: module.apply(p, call))(parameters)
