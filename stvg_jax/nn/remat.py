"""Rematerialisation: computing intermediate results again in the backward pass instead of keeping them.

Modules mark their layers with `run_layer` and `remat_call`; `rematerialize` says what becomes of the marks while a
program is traced. It is a setting of training, not of a model, so no model's configuration or checkpoint knows it.
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
    # Of a layer, its inputs and its products with weight matrices are kept; convolutions are not.
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    # Of a layer, only its inputs are kept.
    "layers": jax.checkpoint_policies.nothing_saveable,
}

_policy: ContextVar[str] = ContextVar("rematerialisation", default="none")


def check_policy(policy: str) -> None:
    """Raises an InputError unless there is such a policy."""
    if policy not in POLICIES:
        raise InputError(f"remat {policy!r} is unknown; choose one of {', '.join(POLICIES)}")


@contextlib.contextmanager
def rematerialize(policy: str) -> Iterator[None]:
    """Programs traced inside use this policy, a key of POLICIES. Results do not depend on it.

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
    """`function(*args)` as one unit of rematerialisation.

    Args:
        function: pure; may read parameters from outside.
        args: trees of arrays.
    """
    policy = _policy.get()
    return (function if policy == "none" else jax.checkpoint(function, policy=POLICIES[policy]))(*args)


def run_layer(layer: Callable[..., Any], *args: Any, rngs: nnx.Rngs | None) -> Any:
    """`layer(*args, rngs)` likewise, for a layer with dropout, whose stream becomes one of its own."""
    # A stream counts its draws, and that count must not change inside a transformation.
    key = None if rngs is None else rngs.dropout()
    return remat_call(lambda args, key: layer(*args, None if key is None else DropoutKeys(key)), args, key)
