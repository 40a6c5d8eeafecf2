"""Compiled programs are code: none is taken from where another user could have put it."""

from __future__ import annotations

import logging
import os

import jax
import pytest

from stvg_jax.runtime import compilation
from tests.grounding.inference.test_grounder import run_doubling


@pytest.fixture
def private_cache(tmp_path, monkeypatch):
    """A new cache, with one program in it."""
    monkeypatch.setenv("STVG_JAX_CACHE", str(tmp_path / "deep" / "cache"))
    before = os.umask(0)
    run_doubling()
    os.umask(before)
    return tmp_path / "deep" / "cache"


def test_a_new_cache_belongs_to_the_user_alone(private_cache):
    (program,) = (private_cache / "programs").iterdir()
    for path in (private_cache, private_cache / "programs", program):
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("folder", [".", "programs"])
def test_programs_of_a_folder_that_others_can_write_are_left_alone(private_cache, monkeypatch, caplog, folder):
    loaded = []
    monkeypatch.setattr(compilation.pickle, "load", loaded.append)
    (program,) = (private_cache / "programs").iterdir()
    (private_cache / folder).chmod(0o777)
    before = program.stat().st_mtime_ns
    with caplog.at_level(logging.WARNING):
        run_doubling()
    assert not loaded
    assert caplog.messages[0] == f"compiling again: another user could have written {private_cache / folder}"
    assert "chmod go-w" in caplog.messages[1]
    assert program.stat().st_mtime_ns == before


def test_programs_of_another_user_are_left_alone(private_cache, caplog, monkeypatch):
    """As `os.getuid` tells whose files these are, another one makes them foreign."""
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    with caplog.at_level(logging.WARNING):
        run_doubling()
    assert caplog.messages[0].startswith("compiling again: another user could have written ")


def test_jax_keeps_no_programs_where_others_can_write(tmp_path, monkeypatch, caplog):
    chosen = {}
    monkeypatch.setattr(jax.config, "update", chosen.__setitem__)
    monkeypatch.setenv("STVG_JAX_CACHE", str(tmp_path / "cache"))
    compilation.keep_compiled()
    assert chosen["jax_compilation_cache_dir"] == str(tmp_path / "cache" / "xla")
    chosen.clear()
    (tmp_path / "cache" / "xla").chmod(0o770)
    with caplog.at_level(logging.WARNING):
        compilation.keep_compiled()
    assert not chosen
    assert "chmod go-w" in caplog.messages[-1]
