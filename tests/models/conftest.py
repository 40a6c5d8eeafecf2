"""A stand-in hub with a released file of a tiny model, and the settings that lead there."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import huggingface_hub.constants
import numpy as np
import pytest

from stvg_jax.convert.formats import get_format
from stvg_jax.convert.state_dict import declared_parameters
from stvg_jax.core import checkpoint
from stvg_jax.models import catalogue
from tests.models import standin
from tests.released import manifest, state_dict_for
from tests.tiny import tiny_config, write_byte_tokenizer
from tests.torch_files import save_zip

NAME = "ta_stvg_hcstvg1"


class Released(NamedTuple):
    """A file of a tiny TA-STVG in the released layout, its tensors, tokenizer and configuration."""

    file: Path
    tensors: dict[str, np.ndarray]
    tokenizer: bytes
    config: dict
    config_file: Path


@pytest.fixture(scope="session")
def released(tmp_path_factory):
    folder = tmp_path_factory.mktemp("released")
    config = tiny_config(write_byte_tokenizer(folder))
    tensors = state_dict_for(declared_parameters(config), get_format("ta_stvg"), manifest())
    file = save_zip(folder / "tiny.pth", {"model": OrderedDict(tensors)})
    program = f"import ml_collections\n\n\ndef get_config(arg=''):\n    return ml_collections.ConfigDict({config!r})\n"
    (folder / "tiny.py").write_text(program)
    return Released(file, tensors, (folder / "tokenizer.json").read_bytes(), config, folder / "tiny.py")


@pytest.fixture(scope="session")
def converted(released, tmp_path_factory):
    """A checkpoint that can be read and verified, of a model that does not exist."""
    folder = tmp_path_factory.mktemp("converted")
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "tokenizer.json").write_bytes(released.tokenizer)
    description = checkpoint.Description("ta_stvg", {"model": {}, "clip": {"resolution": 96}}, note="converted by hand")
    checkpoint.write(folder, {"a/kernel": np.arange(10_000, dtype=np.float32)}, description, one_file=True)
    return folder


@pytest.fixture
def quick(converted, monkeypatch):
    """Copies the checkpoint instead of converting the file, which takes seconds."""

    def copy(source, out, **options):
        shutil.copytree(converted, out)

    monkeypatch.setattr("stvg_jax.convert.convert_file.convert_file", copy)


def point_to(monkeypatch, address, folder):
    """Settings of huggingface_hub, which it reads from the environment when it is imported."""
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    # Older versions keep it in two modules, and know no Xet.
    monkeypatch.setattr("huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True, raising=False)
    monkeypatch.setenv("STVG_JAX_CACHE", str(folder / "cache"))
    monkeypatch.setenv("HF_TOKEN", "")


@pytest.fixture
def hub(released, tmp_path, monkeypatch):
    """A hub with the tiny TA-STVG in place of the authors' file, and empty caches."""
    file = released.file
    record = catalogue.CATALOGUE[NAME]
    record = dataclasses.replace(record, config=str(released.config_file), size=file.stat().st_size)
    monkeypatch.setitem(catalogue.CATALOGUE, NAME, record)
    with standin.running() as running:
        running.repositories["Gstar666/TASTVG"] = standin.Repository({"TASTVG_HCSTVG.pth": file.read_bytes()})
        running.repositories["roberta-base"] = standin.Repository({"tokenizer.json": released.tokenizer})
        point_to(monkeypatch, running.address, tmp_path)
        yield running


@pytest.fixture
def repository(hub):
    """The authors' repository."""
    return hub.repositories["Gstar666/TASTVG"]


def note(tmp_path):
    """Content of the note about the checkpoint."""
    return json.loads((tmp_path / "cache" / "checkpoints" / f"{NAME}.source.json").read_text())
