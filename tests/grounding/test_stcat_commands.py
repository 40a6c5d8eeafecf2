"""STCAT from training to an answer, through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from stvg_jax.cli import main
from stvg_jax.core.checkpoint import describe
from tests.datasets import SIZES, write_stored_hcstvg
from tests.grounding import commands

# The commands know no system: TubeDETR's test of them is among the default ones.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tubes(tmp_path_factory) -> Path:
    """Videos in two shapes, their frames stored in full size."""
    return write_stored_hcstvg(tmp_path_factory.mktemp("tubes"), "--height", 0, sizes=SIZES[:2])


@pytest.fixture(scope="module")
def trained(tubes, tmp_path_factory) -> tuple[list[str], Path]:
    """(options of the configuration, run folder)."""
    config = commands.configured("stcat", tubes, "--config.clip.sizing=proportional")
    run = tmp_path_factory.mktemp("stcat") / "run"
    commands.train(config, run)
    return config, run


def test_training_reports_every_term_of_the_loss(trained):
    _, run = trained
    assert {"box_l1", "box_giou", "start_end", "actioness", "guided_attention"} <= commands.reported_terms(run)
    description = describe(run / "last")
    assert description.model == "stcat"
    assert description.config["clip"]["sizing"] == "proportional"
    assert "swin" not in description.config["model"]


def test_evaluation_asks_in_two_passes(trained, tmp_path):
    records = commands.evaluate(*trained, tmp_path / "eval")
    assert {number for record in records for number in record["scores"]["pass"]} == {0, 1}


def test_an_answer_about_a_video(trained, tubes, tmp_path):
    tube = commands.ground(trained[1], tubes, tmp_path / "tube")
    assert {score["pass"] for score in tube["scores"]} == {0, 1}


def test_inspection_names_its_parts(capsys):
    assert main(["inspect", f"{commands.CONFIGS}:stcat"]) == 0
    shown = capsys.readouterr().out
    assert "template" in shown and "swin" not in shown
