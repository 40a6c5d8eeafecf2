"""The released checkpoints that can be read: one format each."""

from __future__ import annotations

from collections.abc import Collection

from convert.formats.initialisation import MDETR, ROBERTA, VIDEO_SWIN
from convert.formats.ta_stvg import FORMAT as TA_STVG
from convert.rules import Format
from stvg_jax.errors import InputError

FORMATS: dict[str, Format] = {fmt.name: fmt for fmt in (TA_STVG, MDETR, VIDEO_SWIN, ROBERTA)}


def get_format(name: str) -> Format:
    """The format called `name`; InputError with the known names otherwise."""
    if name not in FORMATS:
        raise InputError(f"format {name!r} is unknown; known formats: {', '.join(FORMATS)}")
    return FORMATS[name]


def recognise(names: Collection[str], where: str) -> Format:
    """The format whose signature is among these tensor names.

    Raises:
        InputError: if there is none, with what each format looks for.
    """
    for fmt in FORMATS.values():
        if all(any(name == s or name.endswith(f".{s}") for name in names) for s in fmt.signature):
            return fmt
    known = "; ".join(f"{fmt.name} ({fmt.describes}) has {fmt.signature[0]}" for fmt in FORMATS.values())
    sample = ", ".join(list(names)[:3]) or "nothing"
    raise InputError(f"{where} is of no known format. It holds {sample}, ...; {known}")
