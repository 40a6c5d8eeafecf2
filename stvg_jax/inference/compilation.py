"""Compiling once per machine: XLA's persistent cache, and the options that help on each backend."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

# On CPU, matrix products run about a fifth faster through this code path, with the same results. A later jaxlib may
# not know it any more; `jit` then goes without.
_CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}


def cache_directory() -> Path:
    """Where compiled programs are kept: $STVG_JAX_CACHE, else stvg_jax in the user's cache folder."""
    if chosen := os.environ.get("STVG_JAX_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "stvg_jax"


def enable_cache() -> None:
    """Keeps compiled programs on disk between runs, unless the process has chosen a place already.

    A cache that cannot be written costs time, not results: it is then left off with a warning.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return
    directory = cache_directory() / "xla"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        logging.getLogger(__name__).warning("no compilation cache: cannot write %s (%s)", directory, error.strerror)
        return
    jax.config.update("jax_compilation_cache_dir", str(directory))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


@functools.cache
def compiler_options() -> dict[str, Any]:
    """Options for this process's backend, tried out on a trivial program."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda x: x + 1, compiler_options=_CPU_OPTIONS).lower(1.0).compile()
    except Exception:  # jaxlib reports an unknown option in several ways
        return {}
    return _CPU_OPTIONS


def jit(function: Callable, **options: Any) -> Callable:
    """`jax.jit` with this backend's compiler options."""
    return jax.jit(function, compiler_options=compiler_options(), **options)
