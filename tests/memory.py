"""Memory that a process holds but does not use."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Hands freed memory to the system, where the C library is glibc, which keeps gigabytes of it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
