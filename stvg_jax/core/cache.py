"""The folder in which this library keeps what it can make or fetch again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_directory() -> Path | None:
    """Folder for compiled programs and fetched checkpoints: $STVG_JAX_CACHE, or stvg_jax in the user's cache folder;
    None if there is none.

    By the rule of XDG, $XDG_CACHE_HOME counts only if it is an absolute path. The same holds for $STVG_JAX_CACHE, so
    that no program is loaded from a folder below the working directory.
    """
    for name, inner in (("STVG_JAX_CACHE", ""), ("XDG_CACHE_HOME", "stvg_jax")):
        if (chosen := Path(os.environ.get(name, ""))).is_absolute():
            return chosen / inner
    # Python takes an empty HOME for the root folder.
    if os.environ.get("HOME") == "":
        return None
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / ".cache" / "stvg_jax" if home.is_absolute() else None
