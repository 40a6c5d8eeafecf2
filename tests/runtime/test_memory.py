"""Sizes that no device could hold are refused before anything is compiled, with the bound."""

from __future__ import annotations

import jax
import pytest

from stvg_jax.cli import main
from stvg_jax.core.errors import InputError
from stvg_jax.runtime import memory
from stvg_jax.runtime.memory import Rows, check_memory, device_memory, exhaustion_told

SIZES = Rows(2, 64, 420, 588)


def test_what_does_not_fit_is_refused_with_the_numbers():
    check_memory(2**29, SIZES, "usual", memory=2**30)
    with pytest.raises(
        InputError, match="batch 9: 2 x 64 frames of 588x420 take at least 0.4 GB on a device of 0.1 GB"
    ):
        check_memory(395_000_000, SIZES, "batch 9", memory=2**27)


def test_the_devices_of_a_cpu_share_its_memory(monkeypatch):
    whole = device_memory()
    assert whole > 2**28
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices() * 4)
    assert device_memory() == whole // 4


def test_a_device_that_does_not_tell_refuses_nothing(monkeypatch):
    monkeypatch.setattr(memory, "device_memory", lambda: None)
    check_memory(2**80, Rows(10**9, 64, 420, 588), "huge")


def test_exhaustion_is_told_with_advice_and_other_errors_are_not_hidden():
    for error in (MemoryError(), jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 5 bytes")):
        with pytest.raises(InputError, match="memory of .* is used up.*; do less"), exhaustion_told("do less"):
            raise error
    with pytest.raises(jax.errors.JaxRuntimeError), exhaustion_told("do less"):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--frames", "1000000000"], "16 x 1,000,000,000 frames of"),
        (["--width", "1000000000"], "frames of 1,000,000,000x64 take at least"),
        (["--batch-size", "100000000000"], "a batch of 100,000,000,000 videos on 1 devices"),
        (["--tokens", "1000000000"], "--tokens is 1000000000; the text encoder takes at most"),
        (["--devices", "0"], "--devices is 0; it must be at least 1"),
        (["--config.train.parts=3"], "must be a multiple of 1 devices times parts=3"),
        (["--config.clip.resolution=100000"], "at least 32 pixels, and takes at most 4096"),
    ],
)
def test_inspect_refuses_them(capsys, options, message):
    assert main(["inspect", "shapes", *options]) == 2
    assert message in capsys.readouterr().err
