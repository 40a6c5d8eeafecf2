"""A small dataset with stored frames and an untrained checkpoint, for the tests of the runner."""

from __future__ import annotations

from pathlib import Path

import pytest

from stvg_jax.cli import main
from tests.datasets import SIZES, write_hcstvg
from tests.grounding.inference.conftest import tiny_checkpoint

SAMPLES = 4


@pytest.fixture(scope="session")
def hcstvg(tmp_path_factory) -> Path:
    """A folder with `data/hc-stvg` and, in `frames/hc-stvg`, its frames almost without loss."""
    folder = tmp_path_factory.mktemp("hcstvg")
    data, frames = folder / "data" / "hc-stvg", folder / "frames" / "hc-stvg"
    # One size: every other one is another program to compile.
    write_hcstvg(data, SAMPLES, frames=24, sizes=SIZES[:1])
    options = ["--dataset", "hcstvg", "--annotations", data, "--split", "test", "--out", frames, "--quality", "100"]
    assert main(["prepare", "frames", *map(str, options)]) == 0
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    return tiny_checkpoint(tmp_path_factory.getbasetemp() / "checkpoint")
