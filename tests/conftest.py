"""Settings and fixtures that several test folders share."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import jax
import pytest

from tests import memory

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

# Tracing makes millions of objects, almost none of them in cycles. Those of a file are freed at its end.
gc.set_threshold(100_000, 20, 100)

# As the library runs on every backend: full float32 products.
jax.config.update("jax_default_matmul_precision", "highest")


@pytest.fixture(scope="session", autouse=True)
def _kept_programs(tmp_path_factory):
    """Programs that commands compile are kept for all tests and their processes, and not among those of the person who
    runs the tests."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STVG_JAX_CACHE", str(folder / "kept_programs"))
        yield


@pytest.fixture(scope="module", autouse=True)
def _forget_programs():
    """Compiled programs of a file's tests are of no use to others, and would fill gigabytes. What a file leaves, most
    of all modules that it imported first, stays to the end: no later search for cycles has to go through it."""
    yield
    jax.clear_caches()
    gc.collect()
    gc.freeze()
    memory.give_back()


# Files that need most memory or time run first: a process is small then, and none is left alone with them at the end.
_FIRST = (
    "grounding/test_goldens.py",
    "grounding/test_ta_stvg.py",
    "grounding/test_tubedetr_goldens.py",
    "grounding/evaluation/test_runner.py",
    "train/test_gradients.py",
    "grounding/pretraining/test_pointing.py",
    "grounding/pretraining/test_region_recognition.py",
    "test_default_checkpoint.py",
)


def pytest_collection_modifyitems(items):
    places = {Path(__file__).parent / name: place for place, name in enumerate(_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish():
    """Modules and tests stay, so that no search for cycles has to go through them."""
    gc.collect()
    gc.freeze()
