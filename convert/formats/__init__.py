"""The released checkpoints that can be read: one format each."""

from __future__ import annotations

import re
from collections.abc import Collection

from stvg_jax.convert.formats.cg_stvg import FORMAT as CG_STVG
from stvg_jax.convert.formats.initialisation import MDETR, ROBERTA, VIDEO_SWIN
from stvg_jax.convert.formats.ta_stvg import FORMAT as TA_STVG
from stvg_jax.convert.rules import Format
from stvg_jax.core.errors import InputError, quoted

FORMATS: dict[str, Format] = {fmt.name: fmt for fmt in (TA_STVG, CG_STVG, MDETR, VIDEO_SWIN, ROBERTA)}


def get_format(name: str) -> Format:
    """The format called `name`; InputError with the known names otherwise."""
    if name not in FORMATS:
        raise InputError(f"format {quoted(name)} is unknown; known formats: {', '.join(FORMATS)}")
    return FORMATS[name]


def recognise(names: Collection[str], where: str) -> Format:
    """The format that tensors with these names have.

    Raises:
        InputError: if there is none, with the known formats.
    """
    if fmt := _recognised(names):
        return fmt
    known = "; ".join(f"{fmt.name} ({fmt.describes})" for fmt in FORMATS.values())
    sample = ", ".join(quoted(name, 60) for name in list(names)[:3]) or "nothing"
    raise InputError(f"{where} is of no known format: it holds {sample}, ... Known formats: {known}")


def check_format(fmt: Format, names: Collection[str], where: str) -> None:
    """Raises InputError, with the reason, unless tensors with these names can be of the format."""
    if lacking := _lacking(fmt, names):
        likely = _recognised(names)
        raise InputError(
            f"{where} is not of format {fmt.name}: it has no tensor named {' nor '.join(map(_readable, lacking))}"
            + (f"; it looks like {likely.name}, {likely.describes}" if likely else "")
        )


def _recognised(names: Collection[str]) -> Format | None:
    return next((fmt for fmt in FORMATS.values() if not _lacking(fmt, names)), None)


def _lacking(fmt: Format, names: Collection[str]) -> list[str]:
    """The patterns of the format's signature that no name has."""
    return [pattern for pattern in fmt.signature if not any(re.fullmatch(pattern, name) for name in names)]


def _readable(pattern: str) -> str:
    for written, shown in ((r"\.", "."), (r"\d+", "N"), (".+", "*"), ("(?:", "(")):
        pattern = pattern.replace(written, shown)
    return pattern
