"""Settings and fixtures that several test folders share."""

from __future__ import annotations

import ctypes
import os
import sys

import jax
import pytest

# Programs of tests run once, so compiling them well takes longer than it saves. The processes that tests start inherit
# this; JAX reads it when it compiles for the first time.
_QUICK = " ".join((
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
))  # fmt: skip
if _QUICK not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{_QUICK} {os.environ.get('XLA_FLAGS', '')}"

# As the library runs on every backend: full float32 products.
jax.config.update("jax_default_matmul_precision", "highest")


@pytest.fixture(scope="module", autouse=True)
def _forget_programs():
    """Compiled programs of a file's tests are of no use to others, and would fill gigabytes."""
    yield
    jax.clear_caches()
    _give_back_memory()


def _give_back_memory() -> None:
    """Hands what the compiler has freed to the system, where the C library is glibc, which keeps half a gigabyte."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


@pytest.fixture(scope="module")
def released_parameters():
    """The stand-in for a released TA-STVG checkpoint, through the converter: path -> float32 array (0.9 GB)."""
    from stvg_jax.convert import convert_state_dict
    from tests.released import state_dict

    return convert_state_dict(state_dict(), format="ta_stvg")
