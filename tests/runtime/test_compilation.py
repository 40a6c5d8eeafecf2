"""The folder of compiled programs."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from stvg_jax.runtime.compilation import Program, cache_directory


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({}, "/home/me/.cache/stvg_jax"),
        ({"XDG_CACHE_HOME": "/cache"}, "/cache/stvg_jax"),
        ({"XDG_CACHE_HOME": ""}, "/home/me/.cache/stvg_jax"),
        ({"XDG_CACHE_HOME": "cache"}, "/home/me/.cache/stvg_jax"),
        ({"XDG_CACHE_HOME": "./cache"}, "/home/me/.cache/stvg_jax"),
        ({"STVG_JAX_CACHE": "/mine", "XDG_CACHE_HOME": "/cache"}, "/mine"),
        ({"STVG_JAX_CACHE": "", "XDG_CACHE_HOME": "/cache"}, "/cache/stvg_jax"),
        ({"STVG_JAX_CACHE": "mine"}, "/home/me/.cache/stvg_jax"),
        ({"HOME": ""}, None),
        ({"HOME": "here"}, None),
    ],
)
def test_only_absolute_paths_count(monkeypatch, variables, folder):
    for name in ("STVG_JAX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "/home/me"} | variables).items():
        monkeypatch.setenv(name, value)
    assert cache_directory() == (Path(folder) if folder else None)


def test_without_a_home_there_is_no_cache(monkeypatch):
    def fail():
        raise RuntimeError("Could not determine home directory.")

    for name in ("STVG_JAX_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", fail)
    assert cache_directory() is None


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
