"""Prepared datasets of tensorflow-datasets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.datasets import write_hcstvg, write_vidstg

pytest.importorskip("tensorflow_datasets", reason="the extra tfds is not installed")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    """tensorflow-datasets looks for prepared datasets in a bucket."""
    from tensorflow_datasets.core.utils import gcs_utils

    monkeypatch.setattr(gcs_utils, "_is_gcs_disabled", True)


@pytest.fixture(scope="session")
def manual(tmp_path_factory) -> Path:
    """A folder of manual downloads with small datasets, not to be changed."""
    folder = tmp_path_factory.mktemp("manual")
    write_hcstvg(folder / "hcstvg", count=3)
    write_hcstvg(folder / "hcstvg", count=2, split="train")
    write_vidstg(folder / "vidstg", count=2)
    return folder


@pytest.fixture
def prepare(tmp_path) -> Callable[..., Any]:
    """Prepares a dataset and returns its builder: `prepare(name, manual, config, **download_config)`."""
    import tensorflow_datasets as tfds

    import stvg_jax.data_pipeline.tfds  # noqa: F401

    def call(name: str, manual: Path | None = None, config: Any = None, **options: Any) -> Any:
        given = {} if config is None else {"config": config}
        builder = tfds.builder(name, data_dir=tmp_path / "prepared", **given)
        builder.download_and_prepare(
            download_dir=tmp_path / "downloads",
            download_config=tfds.download.DownloadConfig(manual_dir=manual, **options),
        )
        return builder

    return call
