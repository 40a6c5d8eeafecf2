"""The toy's dataset, stored frames and checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from stvg_jax.cli import main
from stvg_jax.core.registry import FAMILIES
from tests.retrieval import toy

CONFIG = Path(__file__).with_name("toy_config.py")


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Path:
    """Folder with `data`, `frames` and `checkpoint`."""
    folder = tmp_path_factory.mktemp("toy")
    toy.write_checkpoint(folder / "checkpoint")
    options = ["--dataset", "msvd", "--annotations", str(toy.write_dataset(folder / "data")), "--split", "test"]
    options += ["--family", toy.NAME, "--frames", "sampled", "--processes", "1", "--out", str(folder / "frames")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, toy.NAME, "tests.retrieval.toy")
        assert main(["prepare", "frames", *options]) == 0
    return folder


@pytest.fixture(scope="module")
def registered() -> Iterator[None]:
    """The toy, as a family of the library."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, toy.NAME, "tests.retrieval.toy")
        yield


def arguments(
    place: Path, out: Path, *overrides: str, config: str = str(CONFIG), checkpoint: Path | None = None
) -> list[str]:
    """Of `stvg-jax eval`."""
    return [
        *("eval", "--config", config, "--checkpoint", str(checkpoint or place / "checkpoint"), "--out", str(out)),
        *(f"--config.data.{name}={place / folder}" for name, folder in (("annotations", "data"), ("frames", "frames"))),
        *overrides,
    ]


def evaluate(place: Path, out: Path, *overrides: str) -> dict:
    """`metrics.json` of an evaluation."""
    assert main(arguments(place, out, *overrides)) == 0
    return json.loads((out / "metrics.json").read_text())


@pytest.fixture(scope="module")
def whole(place, registered, tmp_path_factory) -> Path:
    """Results of an evaluation that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole")
    evaluate(place, out)
    return out
