"""Compiling once per machine: XLA's persistent cache, and the options that help on each backend."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from stvg_jax.inference.progress import Progress, Silent

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


class Program:
    """A function compiled once per combination of input shapes, that reports what it is doing.

    Matrix products take full float32 precision wherever the model computes in float32; the default of GPUs and TPUs
    is coarser.

    Args:
        title: what people are told.
        function: traceable.
    """

    def __init__(self, title: str, function: Callable):
        self._title = title
        self._jitted = jax.jit(function, compiler_options=compiler_options())
        self._compiled: dict[Any, Any] = {}

    def __call__(self, *args: Any, progress: Progress | None = None) -> Any:
        """Runs on arrays and pytrees of arrays, and waits for the result."""
        progress = progress or Silent()
        leaves, structure = jax.tree.flatten(args)
        key = structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        if key not in self._compiled:
            with progress.stage(f"compiling {self._title}"), jax.default_matmul_precision("highest"):
                self._compiled[key] = self._jitted.lower(*args).compile()
        with progress.stage(f"running {self._title}"):
            return jax.block_until_ready(self._compiled[key](*args))
