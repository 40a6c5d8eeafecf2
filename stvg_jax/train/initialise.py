"""Initial parameters of a training: drawn, or taken from checkpoints."""

from __future__ import annotations

import collections
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError
from stvg_jax.core.tree import flatten, unflatten
from stvg_jax.models.names import find_checkpoint
from stvg_jax.nn.declare import initialize


def initial_parameters(
    declarations: Mapping[str, Any], sources: Sequence[str], leave_out: Sequence[str], seed: int
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Draws all parameters, then replaces those that checkpoints have.

    Args:
        declarations: declared parameters of the model (`PureModule.declarations`).
        sources: folders or names of checkpoints; the last that has a parameter decides.
        leave_out: regular expressions over whole paths; parameters that they match stay as drawn.
        seed: seed of the drawing.

    Returns:
        (path -> array for all parameters of the model, lines about their sources).

    Raises:
        InputError: a checkpoint cannot be read; it has a parameter that is not left out and that the model lacks or has
            in another shape; or a regular expression matches nothing.
    """
    parameters = flatten(initialize(unflatten(declarations), seed))
    origin = dict.fromkeys(parameters, "drawn")
    patterns = [re.compile(pattern) for pattern in leave_out]
    unused = set(leave_out)
    for source in sources:
        directory = find_checkpoint(source, grounds=False)
        found = checkpoint.read(directory, checkpoint.describe(directory))
        problems = []
        for path, value in found.items():
            left = [p.pattern for p in patterns if p.fullmatch(path)]
            unused -= set(left)
            if left:
                continue
            if path not in parameters:
                problems.append(f"+ {path} {value.shape} is not a parameter of the model")
            elif parameters[path].shape != value.shape:
                problems.append(f"! {path} has shape {value.shape}, the model needs {parameters[path].shape}")
            else:
                parameters[path] = np.asarray(value, parameters[path].dtype)
                origin[path] = source
        if problems:
            raise InputError(
                f"{source} does not fit the model, {len(problems)} parameters differ; leave them out with "
                "--config.train.leave_out, or change the model:\n" + "\n".join(problems)
            )
    if unused:
        unmatched = ", ".join(sorted(unused))
        raise InputError(f"config.train.leave_out: {unmatched} match no parameter of {list(sources)}; remove them")
    return parameters, _describe(origin)


def _describe(origin: Mapping[str, str]) -> list[str]:
    """Parts of the model by source, one line for each source."""
    parts: dict[str, collections.Counter] = {}
    for path, source in origin.items():
        parts.setdefault(source, collections.Counter())[path.split("/")[0]] += 1
    return [
        f"{source}: {sum(counts.values()):,} parameters ({', '.join(f'{p} {n}' for p, n in counts.items())})"
        for source, counts in parts.items()
    ]
