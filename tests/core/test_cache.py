"""The place of the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from stvg_jax.core.cache import cache_directory


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
