"""A tiny untrained checkpoint and a cache of its programs, for all tests of a session."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import jax
import pytest

from stvg_jax.runtime import compilation
from tests.tiny import write_untrained_checkpoint

RESOLUTION = 64
_OPTIONS = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_llvm_disable_expensive_passes": True,
}


@functools.cache
def fast_compilation() -> dict[str, Any]:
    """Options that divide the time of these tests by three, where this version of jaxlib knows them."""
    try:
        jax.jit(lambda x: x + 1, compiler_options=_OPTIONS).lower(1.0).compile()
    except Exception:  # jaxlib reports an unknown option in several ways
        return {}
    return _OPTIONS


def use_test_cache(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Keeps compiled programs in `folder`, never among those of the person who runs the tests."""
    patch.setenv("STVG_JAX_CACHE", str(folder))
    fast_compilation()
    patch.setattr(compilation, "compiler_options", fast_compilation)


def tiny_checkpoint(directory: Path) -> Path:
    """An untrained checkpoint of a low resolution; made at the first call."""
    if not directory.exists():
        # Of these parameters, all coordinates of boxes differ from frame to frame.
        write_untrained_checkpoint(directory, seed=7)
        record = json.loads((directory / "checkpoint.json").read_text())
        record["config"]["clip"]["resolution"] = RESOLUTION
        (directory / "checkpoint.json").write_text(json.dumps(record))
    return directory


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    return tmp_path_factory.getbasetemp() / "programs"


@pytest.fixture(autouse=True)
def cache(programs, monkeypatch):
    use_test_cache(monkeypatch, programs)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.getbasetemp() / "checkpoint")
