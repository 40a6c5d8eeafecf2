"""Rules that rename tensors of PyTorch state dicts to parameter paths, and functions that make rules.

A format is a list of rules and of the tensors that are left out on purpose; `convert.renaming` applies it.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

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


@dataclasses.dataclass(frozen=True)
class Unsaved:
    """A parameter that the released code does not save, and ways to make it.

    Attributes:
        path: of the parameter.
        values: ways by name, functions from its shape to its value; the first is taken if none is chosen.
        warning: what follows from the file's lack of it.
    """

    path: str
    values: Mapping[str, Callable[[tuple[int, ...]], np.ndarray]]
    warning: str


@dataclasses.dataclass(frozen=True)
class Format:
    """Mapping of one kind of released checkpoint to a model.

    Attributes:
        name: value of `--format`.
        describes: a line of text.
        signature: regular expressions; a state dict with a matching name for each of them is of this format.
        rules: renamings, see `Rule`.
        dropped: (regular expression, reason) for tensors that the model does not need.
        aliases: (regular expression, replacement) for second names of tensors; their values must be equal.
        fills: regular expressions of the parameter paths that it must write. All paths by default; a checkpoint that
            training starts from fills a part of a model.
        release: function from a state dict (anything with `.shape`, by name) to the name of its configuration in
            `configs/`; None for a part that is alike in all models.
        settings: function from the whole content of a checkpoint to the settings in it, by section of the
            configuration; InputError for settings that no model has. None for a format without any.
        sizes: function from a state dict (as of `release`) to the settings of the model that it tells; None for a
            format of models of one size.
        backbone: name of the format of a second file, for the parameters that this format's files lack because they
            are not trained; None for a format whose files have all.
        unsaved: further parameters that they lack.
    """

    name: str
    describes: str
    signature: tuple[str, ...]
    rules: tuple[Rule, ...]
    dropped: tuple[tuple[str, str], ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    fills: tuple[str, ...] = (".*",)
    release: Callable[[Mapping], str] | None = None
    settings: Callable[[Any], Mapping[str, Mapping[str, Any]]] | None = None
    sizes: Callable[[Mapping], Mapping[str, Any]] | None = None
    backbone: str | None = None
    unsaved: tuple[Unsaved, ...] = ()

    @property
    def is_partial(self) -> bool:
        return self.fills != (".*",)

    def is_filled(self, path: str) -> bool:
        """True if the format must write the parameter `path`."""
        return any(re.fullmatch(pattern, path) for pattern in self.fills)

    def knows(self, name: str) -> bool:
        """True if the format uses a tensor of this name or leaves it out on purpose."""
        found = (self.reason_to_drop(name), self.original_of(name), self.claim(name))
        return any(one is not None for one in found)

    def reason_to_drop(self, name: str) -> str | None:
        """The reason why a tensor is left out on purpose; None for one that is not."""
        return next((reason for pattern, reason in self.dropped if re.fullmatch(pattern, name)), None)

    def original_of(self, name: str) -> str | None:
        """The original name of a tensor whose second name this is; None for any other name."""
        for pattern, replacement in self.aliases:
            if match := re.fullmatch(pattern, name):
                return match.expand(replacement)
        return None

    def claim(self, name: str) -> tuple[Rule, re.Match] | None:
        """The rule for a tensor and the match of its pattern; None if there is no rule."""
        claims = [(rule, match) for rule in self.rules if (match := rule.pattern.fullmatch(name))]
        if len(claims) > 1:
            raise AssertionError(f"{name} is claimed by {[rule.source for rule, _ in claims]}; rules must be disjoint")
        return claims[0] if claims else None


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


def patch_kernel(array: np.ndarray) -> Sequence[np.ndarray]:
    """Patch convolution [out, in, t, p, p] -> kernel [p * p * in, out].

    A kernel over several frames is summed over them, as the released code turns a video patch into a frame patch.
    """
    summed = array.sum(axis=2)
    return (summed.transpose(2, 3, 1, 0).reshape(-1, len(array)),)


def _image_patch_kernel(array: np.ndarray) -> Sequence[np.ndarray]:
    """Patch convolution [out, in, p, p] -> kernel [p * p * in, out]."""
    return (array.transpose(2, 3, 1, 0).reshape(-1, len(array)),)


def _table(array: np.ndarray) -> Sequence[np.ndarray]:
    """[1, rows, width] -> [rows, width]."""
    (rows,) = array
    return (rows,)


def first_row(array: np.ndarray) -> Sequence[np.ndarray]:
    """The first row of a table [rows, width], as a table of one row."""
    return (array[:1],)


def eight_rows(array: np.ndarray) -> Sequence[np.ndarray]:
    """A table [1, rows, width] of up to eight rows, as one [8, width] that repeats them as nearest resizing does."""
    (rows,) = array
    return (rows[np.arange(8) * len(rows) // 8],)


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
    """An Embedding."""
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
        Rule(rf"{source}\.weight", (f"{target}/kernel",), patch_kernel),
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


def image_patches(source: str, target: str) -> tuple[Rule, ...]:
    """The convolution that cuts an image into patches."""
    return (
        Rule(rf"{source}\.weight", (f"{target}/kernel",), _image_patch_kernel),
        Rule(rf"{source}\.bias", (f"{target}/bias",), _same),
    )


def table(source: str, target: str) -> tuple[Rule, ...]:
    """A bare table [1, rows, width], without its first axis."""
    return (Rule(source, (target,), _table),)


def joint_kernels(source: str, target: str) -> tuple[Rule, ...]:
    """The joint weight of queries, keys and values."""
    return (Rule(source, tuple(f"{target}/{part}/kernel" for part in ("query", "key", "value")), _thirds),)


def joint_attention(source: str, target: str) -> tuple[Rule, ...]:
    """Attention of timm: one layer for queries, keys and values, and the output."""
    parts = ("query", "key", "value")
    return (
        *joint_kernels(rf"{source}\.qkv\.weight", target),
        Rule(rf"{source}\.qkv\.bias", tuple(f"{target}/{part}/bias" for part in parts), _thirds),
        *linear(rf"{source}\.proj", f"{target}/out"),
    )
