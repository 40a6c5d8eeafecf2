"""The catalogue of checkpoints, and how it is shown."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stvg_jax.cli import main
from stvg_jax.convert.formats import known_formats
from stvg_jax.core.config import load_config_file
from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.datasets.registry import benchmarks
from stvg_jax.models.catalogue import CATALOGUE
from stvg_jax.models.listing import markdown_table
from stvg_jax.nn.declare import Declared, zeros
from stvg_jax.train.initialise import initial_parameters
from tests.models.conftest import NAME

ROOT = Path(__file__).parents[2]


def test_every_record_can_be_used():
    for name, record in CATALOGUE.items():
        assert name == record.name
        assert record.kind in ("model", "start", "builtin")
        if record.kind == "builtin":
            continue
        assert sum(place is not None for place in (record.repository, record.url, record.by_hand)) == 1, name
        assert record.format in known_formats(), name
        assert record.page.startswith("https://") and record.file
        if record.config:
            config = load_config_file(Path(record.config), record.overrides)
            assert config["name"] == record.format.removesuffix("_original")
            if "resolution" in config["clip"]:
                assert config["clip"]["resolution"] == record.resolution
        if record.backbone:
            assert CATALOGUE[record.backbone].kind == "start"


def test_scores_are_those_of_the_results_tables():
    compared = set()
    for record in CATALOGUE.values():
        results = {one.method: one.percent for one in benchmarks().get(record.dataset, _Empty).results}
        # Checkpoints other than the published one have figures of their own.
        if not record.scores or record.system not in results or record.name != f"{record.format}_{record.dataset}":
            continue
        compared.add(record.name)
        for kind, percent in results[record.system].items():
            for ours, theirs in zip(record.scores[kind], percent, strict=True):
                assert ours == theirs or abs(ours - theirs) < 0.051, (record.name, kind, ours, theirs)
    assert len(compared) == 13


class _Empty:
    results = ()


def test_the_page_has_the_table():
    assert markdown_table(CATALOGUE.values()) in (ROOT / "docs" / "checkpoints.md").read_text(encoding="utf-8")


def test_the_list_tells_what_is_here(hub, quick, tmp_path, capsys):
    assert main(["checkpoints"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert rows.keys() >= CATALOGUE.keys()
    assert rows[NAME].split()[1:] == [
        "TA-STVG",
        "HC-STVG",
        "v1",
        "420",
        "3",
        "MB",
        "53.0",
        "39.1",
        "not",
        "stated",
        "no",
    ]
    assert [rows[name].split()[-1] for name in ("shapes", "mdetr", "stcat_vidstg")] == ["in", "no", "hand"]
    assert not (tmp_path / "cache").exists()

    assert main(["checkpoints", NAME, "--fetch"]) == 0
    assert main(["checkpoints", NAME, "shapes", "--json"]) == 0
    out = capsys.readouterr().out
    found, shapes = json.loads(out[out.index("[\n") :])
    assert (found["here"], shapes["here"], shapes["folder"]) == (True, True, None)
    assert found["scores"]["declarative"]["m_vIoU"] == 39.1
    assert found["noted"]["revision"] == "a" * 40
    assert main(["checkpoints", NAME, "--remove"]) == 0
    assert [path.name for path in (tmp_path / "cache" / "checkpoints").iterdir()] == [f"{NAME}.lock"]


def test_the_list_needs_no_home(monkeypatch, capsys):
    for name in ("STVG_JAX_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, "")
    assert main(["checkpoints", "--json"]) == 0
    here = [record["name"] for record in json.loads(capsys.readouterr().out) if record["here"]]
    assert here == ["shapes", "shapes_retrieval"]
    assert main(["checkpoints", "mdetr"]) == 0
    assert "  here         no" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ta_stvg"], "checkpoint 'ta_stvg' is unknown; `stvg-jax checkpoints` lists the names"),
        (["--fetch"], "--fetch needs names; `stvg-jax checkpoints` lists them"),
        (["mdetr", "roberta", "--file", "x.pth"], "--file needs one name; `stvg-jax checkpoints` lists them"),
        (["shapes", "--remove"], "--remove: shapes comes with the library; give another name"),
    ],
)
def test_what_the_command_refuses(arguments, message, capsys):
    assert main(["checkpoints", *arguments]) == 2
    assert capsys.readouterr().err == f"stvg-jax checkpoints: {message}\n"


def test_a_training_starts_from_a_name(hub, quick):
    declared = {"a/kernel": Declared((10_000,), zeros)}
    parameters, lines = initial_parameters(declared, [NAME], [], seed=0)
    np.testing.assert_array_equal(parameters["a/kernel"], np.arange(10_000))
    assert lines == [f"{NAME}: 1 parameters (a 1)"]
    with pytest.raises(InputError, match="has no repository nobody/nothing"):
        initial_parameters(declared, ["nobody/nothing"], [], seed=0)


@pytest.mark.parametrize("config", ["ta_stvg_hcstvg1", "cg_stvg_vidstg", "stcat_hcstvg1", "tubedetr_vidstg"])
def test_configurations_start_from_checkpoints_that_have_names(config):
    """The first has the tokenizer, since no other is named."""
    train = load_config_file(Path(config))["train"]
    starts = [CATALOGUE[name] for name in train["initialise"]]
    assert {record.kind for record in starts} == {"start"}
    assert starts[0].tokenizer and train["tokenizer"] == ""
