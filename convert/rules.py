"""Renaming rules from PyTorch state dicts to parameter paths, applied as a bijection.

A format is a list of rules plus what it leaves out on purpose. Every source tensor must be claimed exactly once, by a
rule, an alias or a reason to drop it, and every parameter of the model must be written exactly once; otherwise
conversion fails with the whole list (`convert.state_dict`).
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from stvg_jax.core.errors import quoted

Transform = Callable[[np.ndarray], Sequence[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Rule:
    """One renaming.

    Attributes:
        source: regular expression over the whole source name.
        targets: parameter paths, with group references such as \\1; as many as `transform` returns arrays.
        transform: source array -> target arrays.
    """

    source: str
    targets: tuple[str, ...]
    transform: Transform

    @functools.cached_property
    def pattern(self) -> re.Pattern:
        """`source`, compiled."""
        return re.compile(self.source)

    def source_of(self, path: str) -> str | None:
        """The source name from which this rule writes the parameter `path`; None if it writes others."""
        for target in self.targets:
            if match := re.fullmatch(re.sub(r"\\(\d)", r"(?P<g\1>[^/]+)", target), path):
                values = (match[group] for group in sorted(match.groupdict()))
                name = _GROUP.sub(lambda _, values=values: next(values, "?"), _OPTIONAL.sub("", self.source))
                name = name.replace("\\.", ".")
                return name if re.fullmatch(self.source, name) else None
        return None


# How the rules' patterns write an optional part, and a capturing group.
_OPTIONAL = re.compile(r"\(\?:[^()]*\)\?")
_GROUP = re.compile(r"\((?!\?)(?:[^()]|\([^()]*\))*\)")

# Frames that a video's patch kernel may span.
_MAX_SUMMED = 8

# Floating-point types that numpy does not know as such.
_SMALL_FLOATS = (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2)


@dataclasses.dataclass(frozen=True)
class Format:
    """How one kind of released checkpoint maps onto a model.

    Attributes:
        name: what `--format` calls it.
        describes: one line for people.
        signature: regular expressions; a state dict with a name for each of them is of this format.
        rules: see Rule.
        dropped: (regular expression, reason) for tensors that the model does not need.
        aliases: regular expression -> replacement; a second name of a tensor, whose values must be equal.
        fills: regular expressions of the parameter paths that it must write, all of them. Everything by default;
            initialisation sources fill a part of a model.
        release: the name in `configs/` of the model that a state dict, name -> anything with `.shape`, is of; None for
            a source that fills what is alike in all of them.
    """

    name: str
    describes: str
    signature: tuple[str, ...]
    rules: tuple[Rule, ...]
    dropped: tuple[tuple[str, str], ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    fills: tuple[str, ...] = (".*",)
    release: Callable[[Mapping], str] | None = None

    @property
    def is_partial(self) -> bool:
        return self.fills != (".*",)

    def knows(self, name: str) -> bool:
        """Whether the format uses a tensor of this name, or leaves it out on purpose."""
        return bool(
            _first_match(self.dropped, name) is not None or _alias(self, name) or _claim(self.rules, name) is not None
        )


def _same(array: np.ndarray) -> Sequence[np.ndarray]:
    return (array,)


def _matrix(array: np.ndarray) -> Sequence[np.ndarray]:
    """Linear weight [out, in] -> kernel [in, out]; a 1x1 convolution [out, in, 1, 1] likewise."""
    return (array.reshape(array.shape[:2]).T,)


def _thirds(array: np.ndarray) -> Sequence[np.ndarray]:
    """PyTorch's joint query, key and value projection, weight [3d, d] or bias [3d]."""
    return tuple(part.T for part in np.split(array, 3))


def _image_kernel(array: np.ndarray) -> Sequence[np.ndarray]:
    """Convolution weight [out, in, h, w] -> kernel [h, w, in, out]."""
    return (array.transpose(2, 3, 1, 0),)


def _patch_kernel(array: np.ndarray) -> Sequence[np.ndarray]:
    """Patch convolution [out, in, t, p, p] -> kernel [p * p * in, out]; a kernel over several frames is summed over
    them, which is how the reference turns a video patch into a frame patch."""
    summed = array.sum(axis=2)
    return (summed.transpose(2, 3, 1, 0).reshape(-1, len(array)),)


def linear(source: str, target: str) -> tuple[Rule, ...]:
    """A Linear layer or 1x1 convolution with bias."""
    return (*matrix(source, target), Rule(rf"{source}\.bias", (f"{target}/bias",), _same))


def matrix(source: str, target: str) -> tuple[Rule, ...]:
    """A Linear layer without bias."""
    return (Rule(rf"{source}\.weight", (f"{target}/kernel",), _matrix),)


def norm(source: str, target: str) -> tuple[Rule, ...]:
    """A LayerNorm."""
    return (
        Rule(rf"{source}\.weight", (f"{target}/scale",), _same),
        Rule(rf"{source}\.bias", (f"{target}/bias",), _same),
    )


def embedding(source: str, target: str) -> tuple[Rule, ...]:
    return (Rule(rf"{source}\.weight", (f"{target}/embedding",), _same),)


def array(source: str, target: str) -> tuple[Rule, ...]:
    """A bare parameter, copied as it is."""
    return (Rule(source, (target,), _same),)


def conv(source: str, target: str) -> tuple[Rule, ...]:
    """A convolution without bias."""
    return (Rule(rf"{source}\.weight", (f"{target}/kernel",), _image_kernel),)


def frozen_norm(source: str, target: str) -> tuple[Rule, ...]:
    """A frozen batch norm, into the convolution it follows."""
    return (
        *norm(source, target),
        Rule(rf"{source}\.running_mean", (f"{target}/mean",), _same),
        Rule(rf"{source}\.running_var", (f"{target}/var",), _same),
    )


def patches(source: str, target: str) -> tuple[Rule, ...]:
    """The convolution that cuts a video into patches."""
    return (
        Rule(rf"{source}\.weight", (f"{target}/kernel",), _patch_kernel),
        Rule(rf"{source}\.bias", (f"{target}/bias",), _same),
    )


def attention(source: str, target: str) -> tuple[Rule, ...]:
    """torch.nn.MultiheadAttention."""
    parts = ("query", "key", "value")
    return (
        Rule(rf"{source}\.in_proj_weight", tuple(f"{target}/{p}/kernel" for p in parts), _thirds),
        Rule(rf"{source}\.in_proj_bias", tuple(f"{target}/{p}/bias" for p in parts), _thirds),
        *linear(rf"{source}\.out_proj", f"{target}/out"),
    )


@dataclasses.dataclass
class Converted:
    """What came of a state dict.

    Attributes:
        parameters: path -> array.
        taken: source name -> paths it became.
        dropped: source name -> reason.
        aliases: source name -> the name it repeats.
        problems: what does not fit, one line each.
        spelled: source name -> name in the file, where they differ.
        nonfinite: name in the file -> number of values that are not finite.
    """

    parameters: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    taken: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    dropped: dict[str, str] = dataclasses.field(default_factory=dict)
    aliases: dict[str, str] = dataclasses.field(default_factory=dict)
    problems: list[str] = dataclasses.field(default_factory=list)
    spelled: Mapping[str, str] = dataclasses.field(default_factory=dict)
    nonfinite: dict[str, int] = dataclasses.field(default_factory=dict)

    def shown(self, name: str) -> str:
        """A source name as it stands in messages: as the file spells it."""
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


def convert(
    tensors: Mapping,
    fmt: Format,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    spelled: Mapping[str, str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Converted:
    """Applies a format's rules.

    Args:
        tensors: source name -> numpy array, or anything with `.shape`, `.dtype` and `.read()` that gives an array.
        fmt: the format.
        shapes: path -> shape of the model's parameters. A tensor that cannot be made into them is not read, so a file
            that claims huge or endlessly many tensors costs nothing; its parameters are blank. None reads all.
        spelled: source name -> name in the file, for messages.
        progress: called with each source name when it is done.

    Returns:
        Every parameter the source holds. Its problems are names that no rule knows, second names whose values differ,
        arrays that a rule cannot reshape, and parameters written twice; completeness against the model is the
        caller's to check.
    """
    source = _Source(tensors)
    result = Converted(spelled=spelled or {})
    for name in tensors:
        if (reason := _first_match(fmt.dropped, name)) is not None:
            result.dropped[name] = reason
        elif (original := _alias(fmt, name)) is not None:
            _add_alias(result, source, tensors, fmt, shapes, name, original)
        elif (found := _claim(fmt.rules, name)) is not None:
            _write(result, name, *found, source, _is_readable(tensors[name], *found, shapes))
        else:
            result.problems.append(f"+ unexpected {result.shown(name)} {tuple(tensors[name].shape)}")
        if progress is not None:
            progress(name)
    return result


def _first_match(table: Sequence[tuple[str, str]], name: str) -> str | None:
    return next((reason for pattern, reason in table if re.fullmatch(pattern, name)), None)


def _alias(fmt: Format, name: str) -> str | None:
    for pattern, replacement in fmt.aliases:
        if match := re.fullmatch(pattern, name):
            return match.expand(replacement)
    return None


def _claim(rules: Sequence[Rule], name: str) -> tuple[Rule, re.Match] | None:
    claims = [(rule, match) for rule in rules if (match := rule.pattern.fullmatch(name))]
    if len(claims) > 1:
        raise AssertionError(f"{name} is claimed by {[rule.source for rule, _ in claims]}; rules must be disjoint")
    return claims[0] if claims else None


def _is_readable(tensor: Any, rule: Rule, match: re.Match, shapes: Mapping[str, tuple[int, ...]] | None) -> bool:
    """Whether the tensor has as many values as the parameters made of it; a patch kernel may span a few frames."""
    if shapes is None:
        return True
    paths = [match.expand(target) for target in rule.targets]
    if not all(path in shapes for path in paths):
        return False
    wanted, found = sum(math.prod(shapes[path]) for path in paths), math.prod(tensor.shape)
    most = _MAX_SUMMED * wanted if rule.transform is _patch_kernel else wanted
    return wanted <= found <= most


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
    found = _claim(fmt.rules, original)
    alike = tuple(tensors[name].shape) == tuple(tensors[original].shape)
    if alike and found is not None and not _is_readable(tensors[original], *found, shapes):
        return  # the original is a problem of its own
    if not alike or not _are_equal(source[name], source[original]):
        result.problems.append(
            f"! {result.shown(name)} differs from {result.shown(original)}; they are two names of one parameter"
        )


def _are_equal(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether all values are equal; NaN equals itself."""
    return bool(np.all((first == second) | ((first != first) & (second != second))))


def _write(result: Converted, name: str, rule: Rule, match: re.Match, source: _Source, readable: bool) -> None:
    targets = [match.expand(target) for target in rule.targets]
    result.taken[name] = targets
    value = source[name] if readable else source.blank(name)
    if value.dtype.kind != "f" and value.dtype not in _SMALL_FLOATS:
        result.problems.append(f"! {result.shown(name)} holds {value.dtype} values; a parameter is floating point")
    try:
        arrays = rule.transform(value)
    except (ValueError, IndexError, TypeError):  # what numpy says to an array with too few or too many axes
        result.problems.append(
            f"! {result.shown(name)} has shape {value.shape}, which {' and '.join(targets)} cannot be made of"
        )
        return
    for target, part in zip(targets, arrays, strict=True):
        if target in result.parameters:
            result.problems.append(f"! {result.shown(name)} gives {target}, which another tensor gave already")
        result.parameters[target] = np.asarray(part, order="C") if readable else part
