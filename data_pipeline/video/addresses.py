"""Addresses of videos in the network, told from paths."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stvg_jax.core.errors import InputError, quoted

_ADDRESS = re.compile(r"(https?|rtsps?)://", re.IGNORECASE)


def is_address(video: object) -> bool:
    """True for the address of a video in the network."""
    return isinstance(video, str) and _ADDRESS.match(video) is not None


def check_addresses(video: object, others: Sequence[object], *, allowed: bool, record_sec: float | None) -> None:
    """Raises InputError unless the network may be used for a video, alone, or need not be.

    Args:
        video: path or address; None for none.
        others: further ones that are asked the same.
        allowed: whether connections may be made.
        record_sec: seconds of a stream to take.
    """
    if record_sec is not None and not 0 < record_sec < float("inf"):
        raise InputError(f"--record is {record_sec:g}; it must be a positive number of seconds")
    if not is_address(video):
        if record_sec is not None:
            raise InputError("--record is for the address of a stream; choose a part of a file by --start and --end")
        return
    if not allowed:
        raise InputError(f"{quoted(video)} is an address; --allow-network lets this command fetch it")
    if others:
        raise InputError(f"{quoted(video)} is an address, and one is fetched at a time; leave out --video")
