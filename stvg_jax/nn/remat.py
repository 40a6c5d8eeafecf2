"""Rematerialisation: intermediate results that are computed again in the backward pass instead of being kept.

Modules call their layers by `run_layer` and `remat_call`; `rematerialize` sets the policy while a program is traced.
The policy is a setting of the training, not of the model, so it is in no model configuration and no checkpoint.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import jax
from flax import nnx

from stvg_jax.core.errors import InputError
from stvg_jax.nn.keys import DropoutKeys

POLICIES = {
    # Everything is kept.
    "none": None,
    # A layer's inputs and its products with weight matrices are kept; convolutions are not.
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    # Only a layer's inputs are kept.
    "layers": jax.checkpoint_policies.nothing_saveable,
}

_policy: ContextVar[str] = ContextVar("rematerialisation", default="none")


def check_policy(policy: str) -> None:
    """Raises InputError for an unknown policy."""
    if policy not in POLICIES:
        raise InputError(f"remat {policy!r} is unknown; choose one of {', '.join(POLICIES)}")


@contextlib.contextmanager
def rematerialize(policy: str) -> Iterator[None]:
    """Sets the policy, a key of POLICIES, of programs that are traced in the block. Results do not depend on it.

    Raises:
        InputError: as `check_policy`.
    """
    check_policy(policy)
    token = _policy.set(policy)
    try:
        yield
    finally:
        _policy.reset(token)


def remat_call(function: Callable[..., Any], *args: Any) -> Any:
    """Computes `function(*args)` as one unit of rematerialisation.

    Args:
        function: a pure function; it may use parameters from outside.
        args: trees of arrays.
    """
    policy = _policy.get()
    return (function if policy == "none" else jax.checkpoint(function, policy=POLICIES[policy]))(*args)


def run_layer(layer: Callable[..., Any], *args: Any, rngs: nnx.Rngs | DropoutKeys | None) -> Any:
    """Computes `layer(*args, rngs)` as one unit of rematerialisation, with a dropout stream of its own."""
    # A stream counts its draws, and that count must not change inside a transformation.
    key = None if rngs is None else rngs.dropout()
    return remat_call(lambda args, key: layer(*args, None if key is None else DropoutKeys(key)), args, key)
