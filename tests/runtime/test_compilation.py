"""The folder of compiled programs."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from stvg_jax.runtime.compilation import Program


@pytest.fixture
def jax_cache(tmp_path):
    """A folder in which JAX itself keeps every program."""
    settings = {
        "jax_compilation_cache_dir": str(tmp_path / "jax"),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in settings}

    def use(values):
        for name, value in values.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()

    use(settings)
    yield tmp_path / "jax"
    use(before)


def test_a_stored_program_is_whole_although_jax_has_it_too(jax_cache, tmp_path, monkeypatch):
    """As after an update of this library: its own copy is out of date, and JAX's is not."""
    monkeypatch.setenv("STVG_JAX_CACHE", str(tmp_path / "cache"))

    def spread(x):
        return jax.nn.softmax(x - jnp.var(x, axis=-1, keepdims=True)).sum(0)

    x = np.arange(64, dtype=np.float32).reshape(8, 8)
    expected = np.asarray(jax.jit(spread)(x))
    assert list(jax_cache.iterdir())
    for identity in ("before", "after", "after"):
        jax.clear_caches()
        np.testing.assert_allclose(Program("program", spread, identity)(x), expected, rtol=1e-5)
    assert len(list((tmp_path / "cache" / "programs").iterdir())) == 2
    assert jax.config.jax_compilation_cache_dir == str(jax_cache)
