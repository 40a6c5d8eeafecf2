"""AdamW with a learning rate for each group of parameters; rules over parameter paths define the groups.

Parameters are flat, path -> array (`stvg_jax.core.tree`). Those of the group `FROZEN` have no gradient, no optimiser
state and no moving average.

A model may have parameters that some batches do not use, such as attention to a context that no video has. PyTorch
gives them no gradient for such a batch, and its AdamW skips them: they neither move nor decay, and their moments and
their own number of updates stay. With a gradient of zero, momentum and decay would go on. Such parameters belong to a
*use*, a name for which each step reports whether any row of the whole batch used them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax

from stvg_jax.core.errors import InputError
from stvg_jax.train.schedules import Rates

T = TypeVar("T")

FROZEN = "frozen"

# Arrays of the optimiser's state that checkpoints of earlier versions lack, and the arrays that they start from: those
# versions counted the updates of all parameters together (`stvg_jax.train.checkpoints.Checkpoints.restore`).
INHERITED = ((r"(optimizer/\d+)/use_counts/.*", r"\1/count"),)


@dataclasses.dataclass(frozen=True)
class OptimConfig:
    """Settings of the optimiser other than learning rates; the defaults are those of all released grounding models.

    Attributes:
        weight_decay: decay that is decoupled from the gradient (Loshchilov and Hutter 2019) and multiplied by the
            learning rate.
        undecayed: regular expressions over whole paths of parameters that do not decay; () for none, so that biases and
            norms decay too.
        max_gradient_norm: limit of the norm of the gradient of all trained parameters; a longer one is scaled down. 0
            for no limit.
        beta2: decay of the second moments.
        ema_decay: decay of the moving average of parameters at every update.
    """

    weight_decay: float = 1e-4
    undecayed: tuple[str, ...] = ()
    max_gradient_norm: float = 0.1
    beta2: float = 0.999
    ema_decay: float = 0.9998

    def __post_init__(self):
        if self.max_gradient_norm < 0:
            raise ValueError(f"max_gradient_norm is {self.max_gradient_norm}; it must not be negative")
        if not 0 <= self.beta2 < 1:
            raise ValueError(f"beta2 is {self.beta2}; it must be from 0 to below 1")
        for pattern in self.undecayed:
            try:
                re.compile(pattern)
            except (re.error, TypeError) as error:
                raise ValueError(f"undecayed has {pattern!r}, which is no regular expression: {error}") from error
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay is {self.ema_decay}; it must be from 0 to below 1")


def assign_groups(paths: Iterable[str], rules: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Group of every parameter.

    Args:
        paths: paths of all parameters.
        rules: (regular expression over a whole path, group) in order; the first that matches decides.

    Returns:
        Path -> group, in the order of `paths`.

    Raises:
        InputError: a parameter matches no rule, or a rule decides for no parameter; the message lists them all.
    """
    compiled = [(re.compile(pattern), group) for pattern, group in rules]
    groups: dict[str, str] = {}
    problems, used = [], set()
    for path in paths:
        index = next((i for i, (pattern, _) in enumerate(compiled) if pattern.fullmatch(path)), None)
        if index is None:
            problems.append(f"- no rule for parameter {path}")
            continue
        used.add(index)
        groups[path] = compiled[index][1]
    problems += [f"+ no parameter for rule {rules[i][0]!r}" for i in range(len(rules)) if i not in used]
    if problems:
        listed = "\n".join(problems)
        raise InputError(f"the groups of learning rates do not fit the model, {len(problems)} problems:\n{listed}")
    return groups


def assign_uses(paths: Iterable[str], rules: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Use of every parameter that has one.

    Args:
        paths: paths of all parameters.
        rules: (regular expression over a whole path, use) in order; the first that matches decides.

    Returns:
        Path -> use, in the order of `paths`, without the parameters that every batch uses.
    """
    compiled = [(re.compile(pattern), use) for pattern, use in rules]
    found = {path: next((use for pattern, use in compiled if pattern.fullmatch(path)), None) for path in paths}
    return {path: use for path, use in found.items() if use is not None}


def split_frozen(parameters: Mapping[str, T], groups: Mapping[str, str]) -> tuple[dict[str, T], dict[str, T]]:
    """Splits parameters into (trained, frozen)."""
    trained = {path: value for path, value in parameters.items() if groups[path] != FROZEN}
    return trained, {path: value for path, value in parameters.items() if groups[path] == FROZEN}


def make_optimizer(
    config: OptimConfig, groups: Mapping[str, str], rates: Rates, uses: Mapping[str, str] | None = None
) -> optax.GradientTransformationExtraArgs:
    """Makes the optimiser of the trained parameters of `split_frozen`.

    Its arithmetic is that of PyTorch's `clip_grad_norm_` and `AdamW` with their default constants.

    Args:
        config: settings of the optimiser.
        groups: path -> group, at least for all trained parameters.
        rates: step -> group -> learning rate (`stvg_jax.train.schedules`).
        uses: path -> use (`assign_uses`); None or empty if every batch uses all parameters.

    Returns:
        A transformation. With uses, its `update` takes `used`: use -> bool scalar, True if the batch used it.

    Raises:
        InputError: a group has no learning rate.
    """
    if missing := sorted({*groups.values()} - {FROZEN, *rates(0)}):
        raise InputError(
            f"there is no learning rate for group {', '.join(missing)}; the groups are {', '.join(rates(0))}"
        )
    adam = optax.scale_by_adam(b1=0.9, b2=config.beta2, eps=1e-8)
    # Without changes to its form, so that checkpoints of earlier versions fit.
    still = [re.compile(pattern) for pattern in config.undecayed]

    def decayed(parameters: Mapping[str, Any]) -> dict[str, bool]:
        return {path: not any(pattern.fullmatch(path) for pattern in still) for path in parameters}

    return optax.with_extra_args_support(
        optax.chain(
            clip_gradients(config.max_gradient_norm) if config.max_gradient_norm else optax.identity(),
            adam_of_used(adam, uses) if uses else adam,
            optax.add_decayed_weights(config.weight_decay, decayed if still else None),
            scale_by_group(groups, rates),
            *([still_unused(uses)] if uses else []),
        )
    )


class UseState(NamedTuple):
    """State of `adam_of_used`; its first fields are those of `optax.ScaleByAdamState`.

    Attributes:
        count: number of updates of the parameters that every batch uses, int32 scalar.
        mu, nu: path -> moments.
        use_counts: use -> number of updates of its parameters, int32 scalar.
    """

    count: jax.Array
    mu: dict[str, jax.Array]
    nu: dict[str, jax.Array]
    use_counts: dict[str, jax.Array]


def adam_of_used(adam: optax.GradientTransformation, uses: Mapping[str, str]) -> optax.GradientTransformationExtraArgs:
    """Adam that leaves the moments and the count of parameters unchanged if the batch did not use them.

    Args:
        adam: `optax.scale_by_adam` for parameters that every batch uses.
        uses: path -> use.
    """

    def init(params: Any) -> UseState:
        counts = {use: jnp.zeros((), jnp.int32) for use in sorted({*uses.values()})}
        state: Any = adam.init(params)
        return UseState(*state, use_counts=counts)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[dict[str, jax.Array], UseState]:
        used = extra["used"]

        def of_use(use: str | None, count: jax.Array) -> tuple[Any, Any]:
            paths = [path for path in updates if uses.get(path) == use]
            own, mu, nu = ({path: tree[path] for path in paths} for tree in (updates, state.mu, state.nu))
            before = optax.ScaleByAdamState(count, mu, nu)
            scaled, after = adam.update(own, before)
            if use is not None:
                after = jax.tree.map(lambda new, old: jnp.where(used[use], new, old), after, before)
            return scaled, after

        scaled, (count, mu, nu) = of_use(None, state.count)
        counts = {}
        for use, number in state.use_counts.items():
            own, after = of_use(use, number)
            scaled, mu, nu = scaled | own, mu | after.mu, nu | after.nu
            counts[use] = after.count
        return scaled, UseState(count, mu, nu, counts)

    return optax.GradientTransformationExtraArgs(init, update)


def still_unused(uses: Mapping[str, str]) -> optax.GradientTransformationExtraArgs:
    """Sets the updates of parameters that the batch did not use to 0; `uses` is path -> use."""

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[dict[str, jax.Array], Any]:
        used = extra["used"]
        still = {path: jnp.where(used[use], updates[path], 0) for path, use in uses.items() if path in updates}
        return updates | still, state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)


def clip_gradients(max_norm: float) -> optax.GradientTransformation:
    """Scales gradients by max_norm / (norm + 1e-6) where that is below 1; the 1e-6 is PyTorch's."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        scale = jnp.minimum(1.0, max_norm / (optax.tree.norm(updates) + 1e-6))
        return jax.tree.map(lambda gradient: gradient * scale, updates), state

    return optax.GradientTransformation(optax.init_empty_state, update)


def scale_by_group(groups: Mapping[str, str], rates: Rates) -> optax.GradientTransformation:
    """Multiplies updates by minus the current learning rate of their group."""

    def init(params: Any) -> optax.ScaleByScheduleState:
        return optax.ScaleByScheduleState(count=jnp.zeros((), jnp.int32))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[dict[str, jax.Array], optax.ScaleByScheduleState]:
        now = rates(state.count)
        scaled = {path: -now[groups[path]] * value for path, value in updates.items()}
        return scaled, optax.ScaleByScheduleState(count=optax.safe_increment(state.count))

    return optax.GradientTransformation(init, update)
