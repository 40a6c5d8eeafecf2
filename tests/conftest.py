"""Settings and fixtures that several test folders share."""

from __future__ import annotations

import jax
import pytest

# As the library runs on every backend: full float32 products.
jax.config.update("jax_default_matmul_precision", "highest")


@pytest.fixture(scope="module", autouse=True)
def _forget_programs():
    """Compiled programs of a file's tests are of no use to others, and would fill gigabytes."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def released_parameters():
    """The stand-in for a released TA-STVG checkpoint, through the converter: path -> float32 array (0.9 GB)."""
    from stvg_jax.convert import convert_state_dict
    from tests.released import state_dict

    return convert_state_dict(state_dict(), format="ta_stvg")
