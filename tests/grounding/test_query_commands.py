"""Target-aware and oracle queries through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stvg_jax.cli import main
from stvg_jax.core.checkpoint import describe
from tests.datasets import write_stored_hcstvg
from tests.grounding import commands

pytestmark = pytest.mark.slow

NOTE = "Queries are made from the true tubes (config.model.oracle): an upper bound, not a result."


@pytest.fixture(scope="module")
def tubes(tmp_path_factory) -> Path:
    return write_stored_hcstvg(tmp_path_factory.mktemp("tubes"), "--height", 0)


def notes(out: Path) -> list[str]:
    assert NOTE not in (out / "table.md").read_text() or NOTE in (out / "index.html").read_text()
    return json.loads((out / "metrics.json").read_text())["notes"]


@pytest.mark.parametrize("system", ["tubedetr", "stcat"])
def test_target_aware_queries_from_training_to_an_answer(system, tubes, tmp_path, capsys):
    run = tmp_path / "run"
    config = commands.configured(system, tubes, "--config.model.queries=both")
    assert main(["inspect", f"{commands.CONFIGS}:{system}", "--config.model.queries=both"]) == 0
    assert "target_queries" in capsys.readouterr().out
    commands.train(config, run)
    assert {"appearance_sampling", "appearance_attributes"} <= commands.reported_terms(run)
    assert describe(run / "last").config["model"]["queries"] == "both"
    records = commands.evaluate(config, run, tmp_path / "eval")
    assert any(score < 1 for record in records for score in record["scores"]["sampling"])
    assert NOTE not in notes(tmp_path / "eval")
    commands.ground(run, tubes, tmp_path / "tube")
    # The upper bound of the same model.
    commands.evaluate([*config, "--config.model.oracle=True"], run, tmp_path / "oracle")
    assert NOTE in notes(tmp_path / "oracle")


@pytest.mark.parametrize("system", ["ta_stvg", "tubedetr", "stcat"])
def test_a_model_of_oracle_queries_is_trained_and_evaluated_but_cannot_ground(system, tubes, tmp_path, capsys):
    run = tmp_path / "run"
    config = commands.configured(system, tubes, "--config.model.oracle=True")
    commands.train(config, run)
    assert describe(run / "last").config["model"]["oracle"]
    commands.evaluate(config, run, tmp_path / "eval")
    assert NOTE in notes(tmp_path / "eval")
    video = sorted((tubes / "data").rglob("*.mp4"))[0]
    assert main(["ground", str(video), "the man walks", "--checkpoint", str(run / "last")]) == 2
    assert "evaluate it with `stvg-jax eval`" in capsys.readouterr().err
