"""The rules of a format applied to a state dict, as a bijection.

Every source tensor must be claimed exactly once, by a rule, an alias or a reason to drop it, and every parameter of the
model must be written exactly once; otherwise conversion fails with the whole list (`convert.state_dict`).
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import ml_dtypes
import numpy as np

from stvg_jax.convert.rules import Format, Rule, Transform, eight_rows, first_row, patch_kernel
from stvg_jax.core.errors import quoted

# Values in a tensor for each one that is made of it: frames that a video's patch kernel may span, rows of a table.
_MOST_PER_VALUE: dict[Transform, int] = {patch_kernel: 8, first_row: 100}
# Values that are made of each one in a tensor at most.
_MOST_OF_A_VALUE: dict[Transform, int] = {eight_rows: 8}
# Floating-point types that numpy does not know as such.
_SMALL_FLOATS = (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2)


@dataclasses.dataclass
class Converted:
    """Result of applying a format's rules to a state dict.

    Attributes:
        parameters: arrays by path.
        taken: paths that a source tensor became, by its name.
        dropped: reasons why source tensors are left out, by name.
        aliases: original names of tensors with a second name, by that second name.
        problems: lines about names and arrays that do not fit.
        spelled: names in the file, by source name, where they differ.
        nonfinite: numbers of values that are not finite, by the name in the file.
    """

    parameters: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    taken: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    dropped: dict[str, str] = dataclasses.field(default_factory=dict)
    aliases: dict[str, str] = dataclasses.field(default_factory=dict)
    problems: list[str] = dataclasses.field(default_factory=list)
    spelled: Mapping[str, str] = dataclasses.field(default_factory=dict)
    nonfinite: dict[str, int] = dataclasses.field(default_factory=dict)

    def shown(self, name: str) -> str:
        """A source name for messages, as the file spells it."""
        return quoted(self.spelled.get(name, name))


class _Source:
    """Reads tensors by name, whether they are arrays already or lazy references into a file."""

    def __init__(self, tensors: Mapping):
        self._tensors = tensors

    def __getitem__(self, name: str) -> np.ndarray:
        tensor = self._tensors[name]
        return np.asarray(tensor if isinstance(tensor, np.ndarray) else tensor.read())

    def blank(self, name: str) -> np.ndarray:
        """Zeros of the shape of a tensor, without memory of their own."""
        tensor = self._tensors[name]
        return np.broadcast_to(np.zeros((), tensor.dtype), tensor.shape)


def rename(
    tensors: Mapping,
    fmt: Format,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    spelled: Mapping[str, str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Converted:
    """Applies a format's rules.

    Args:
        tensors: numpy arrays by source name, or objects with `.shape`, `.dtype` and a `.read()` that returns an array.
        fmt: the format.
        shapes: shapes of the model's parameters, by path. Tensors that do not fit them are not read and give blank
            parameters, so that a file that claims huge or very many tensors costs nothing. None reads all.
        spelled: names in the file, by source name, for messages.
        progress: called with each source name when it is done.

    Returns:
        All parameters in the source. Problems are names that no rule knows, second names whose values differ, arrays
        that a rule cannot reshape, and parameters written twice. The caller checks that the model is complete.
    """
    source = _Source(tensors)
    result = Converted(spelled=spelled or {})
    for name in tensors:
        if (reason := fmt.reason_to_drop(name)) is not None:
            result.dropped[name] = reason
        elif (original := fmt.original_of(name)) is not None:
            _add_alias(result, source, tensors, fmt, shapes, name, original)
        elif (found := fmt.claim(name)) is not None:
            _write(result, name, *found, source, _is_readable(tensors[name], *found, shapes))
        else:
            result.problems.append(f"+ unexpected {result.shown(name)} {tuple(tensors[name].shape)}")
        if progress is not None:
            progress(name)
    return result


def _is_readable(tensor: Any, rule: Rule, match: re.Match, shapes: Mapping[str, tuple[int, ...]] | None) -> bool:
    """True if the tensor has as many values as the parameters made of it, or a few times as many or as few where a
    transform takes a part or a sum, or repeats them."""
    if shapes is None:
        return True
    paths = [match.expand(target) for target in rule.targets]
    if not all(path in shapes for path in paths):
        return False
    wanted, found = sum(math.prod(shapes[path]) for path in paths), math.prod(tensor.shape)
    return wanted <= found * _MOST_OF_A_VALUE.get(rule.transform, 1) and found <= wanted * _MOST_PER_VALUE.get(
        rule.transform, 1
    )


def _add_alias(
    result: Converted,
    source: _Source,
    tensors: Mapping,
    fmt: Format,
    shapes: Mapping[str, tuple[int, ...]] | None,
    name: str,
    original: str,
) -> None:
    result.aliases[name] = original
    if original not in tensors:
        result.problems.append(f"- missing {quoted(original)}, whose second name is {result.shown(name)}")
        return
    found = fmt.claim(original)
    alike = tuple(tensors[name].shape) == tuple(tensors[original].shape)
    if alike and found is not None and not _is_readable(tensors[original], *found, shapes):
        return  # the original is a problem of its own
    if not alike or not _are_equal(source[name], source[original]):
        result.problems.append(
            f"! {result.shown(name)} differs from {result.shown(original)}; they are two names of one parameter"
        )


def _are_equal(first: np.ndarray, second: np.ndarray) -> bool:
    """True if all values are equal; NaN equals itself."""
    return bool(np.all((first == second) | ((first != first) & (second != second))))


def _write(result: Converted, name: str, rule: Rule, match: re.Match, source: _Source, readable: bool) -> None:
    targets = [match.expand(target) for target in rule.targets]
    result.taken[name] = targets
    value = source[name] if readable else source.blank(name)
    if value.dtype.kind != "f" and value.dtype not in _SMALL_FLOATS:
        result.problems.append(f"! {result.shown(name)} holds {value.dtype} values; a parameter is floating point")
    try:
        arrays = rule.transform(value)
    except (ValueError, IndexError, TypeError):  # numpy's errors for an array with too few or too many axes
        result.problems.append(
            f"! {result.shown(name)} has shape {value.shape}, which {' and '.join(targets)} cannot be made of"
        )
        return
    for target, part in zip(targets, arrays, strict=True):
        if target in result.parameters:
            result.problems.append(f"! {result.shown(name)} gives {target}, which another tensor gave already")
        result.parameters[target] = np.asarray(part, order="C") if readable else part
