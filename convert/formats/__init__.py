"""Formats of the released checkpoints that can be read."""

from __future__ import annotations

import importlib
import re
from collections.abc import Collection

from stvg_jax.convert.formats.initialisation import MDETR, MDETR_STCAT, MDETR_TUBEDETR, ROBERTA, VIDEO_SWIN
from stvg_jax.convert.formats.stgt import EVA_VIT_G
from stvg_jax.convert.rules import Format
from stvg_jax.core import registry
from stvg_jax.core.errors import InputError, quoted

# Checkpoints that training starts from, or that others lack. The formats of whole models belong to their families.
_STARTS = (MDETR, MDETR_STCAT, MDETR_TUBEDETR, VIDEO_SWIN, ROBERTA, EVA_VIT_G)


def known_formats() -> dict[str, Format]:
    """All formats by name: those of the families, then those of starts."""
    formats = (*(fmt for name in registry.FAMILIES for fmt in formats_of(name)), *_STARTS)
    return {fmt.name: fmt for fmt in formats}


def formats_of(family: str) -> tuple[Format, ...]:
    """The formats of a family (`stvg_jax.family.Family.formats`)."""
    return tuple(importlib.import_module(module).FORMAT for module in registry.get_family(family).formats)


def get_format(name: str) -> Format:
    """The format called `name`.

    Raises:
        InputError: there is none; the message lists the known names.
    """
    formats = known_formats()
    if name not in formats:
        raise InputError(f"format {quoted(name)} is unknown; known formats: {', '.join(formats)}")
    return formats[name]


def recognise(names: Collection[str], where: str) -> Format:
    """The format of tensors with these names.

    Raises:
        InputError: it is unknown; the message lists the known formats.
    """
    if fmt := _recognised(names):
        return fmt
    known = "; ".join(f"{fmt.name} ({fmt.describes})" for fmt in known_formats().values())
    sample = ", ".join(quoted(name, 60) for name in list(names)[:3]) or "nothing"
    raise InputError(f"{where} has no known format: it holds {sample}, ... Known formats: {known}")


def check_format(fmt: Format, names: Collection[str], where: str) -> None:
    """Raises InputError, with the reason, if tensors with these names cannot be of the format."""
    if lacking := _lacking(fmt, names):
        likely = _recognised(names)
        raise InputError(
            f"{where} is not of format {fmt.name}: it has no tensor named {' nor '.join(map(_readable, lacking))}"
            + (f"; it looks like {likely.name}, {likely.describes}" if likely else "")
        )


def _recognised(names: Collection[str]) -> Format | None:
    return next((fmt for fmt in known_formats().values() if not _lacking(fmt, names)), None)


def _lacking(fmt: Format, names: Collection[str]) -> list[str]:
    """Patterns of the format's signature that no name matches."""
    return [pattern for pattern in fmt.signature if not any(re.fullmatch(pattern, name) for name in names)]


def _readable(pattern: str) -> str:
    for written, shown in ((r"\.", "."), (r"\d+", "N"), (".+", "*"), ("(?:", "(")):
        pattern = pattern.replace(written, shown)
    return pattern
