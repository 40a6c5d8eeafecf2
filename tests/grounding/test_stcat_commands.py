"""STCAT from training to an answer, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stvg_jax.cli import main
from stvg_jax.core.checkpoint import describe
from tests.datasets import SIZES, write_hcstvg

CONFIG = f"{Path(__file__).parents[1] / 'experiment' / 'tiny_experiment.py'}:stcat"


@pytest.fixture(scope="module")
def tubes(tmp_path_factory) -> Path:
    """Annotations, videos in two shapes and their frames, stored in full size."""
    folder = tmp_path_factory.mktemp("tubes")
    for split in ("train", "test"):
        write_hcstvg(folder / "data", 4, frames=24, sizes=SIZES[:2], split=split)
    options = ["--dataset", "hcstvg", "--annotations", folder / "data", "--split", "train", "test", "--height", 0]
    assert main(["prepare", "frames", *map(str, options), "--out", str(folder / "frames")]) == 0
    return folder


@pytest.fixture(scope="module")
def trained(tubes, tmp_path_factory) -> tuple[list[str], Path]:
    """(options of the configuration, run folder)."""
    config = ["--config", CONFIG, "--config.clip.sizing=proportional", "--config.eval.split=test"]
    config += [f"--config.data.annotations={tubes / 'data'}", f"--config.data.frames={tubes / 'frames'}"]
    run = tmp_path_factory.mktemp("stcat") / "run"
    options = ["--config.train.max_steps=3", "--config.train.save_every=3"]
    assert main(["train", *config, "--workdir", str(run), *options]) == 0
    return config, run


def test_training_reports_every_term_of_the_loss(trained):
    _, run = trained
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "step" in line][-1] == 3
    named = {name.split("/")[-1] for line in lines for name in line}
    assert {"box_l1", "box_giou", "start_end", "actioness", "guided_attention"} <= named
    description = describe(run / "last")
    assert description.model == "stcat"
    assert description.config["clip"]["sizing"] == "proportional"
    assert "swin" not in description.config["model"]


def test_evaluation_asks_in_two_passes(trained, tmp_path):
    config, run = trained
    assert main(["eval", *config, "--checkpoint", str(run / "last"), "--out", str(tmp_path / "eval")]) == 0
    records = [json.loads(line) for line in (tmp_path / "eval" / "records.jsonl").read_text().splitlines()]
    assert len(records) == 4
    assert {number for record in records for number in record["scores"]["pass"]} == {0, 1}


def test_an_answer_about_a_video(trained, tubes, tmp_path):
    _, run = trained
    video = sorted((tubes / "data").rglob("*.mp4"))[0]
    out = tmp_path / "tube"
    assert main(["ground", str(video), "the man walks", "--checkpoint", str(run / "last"), "--out", str(out)]) == 0
    (path,) = out.rglob("*.json")
    tube = json.loads(path.read_text())
    assert 0 <= tube["start_frame"] < tube["end_frame"] <= 24
    boxes = np.array([box["box"] for box in tube["boxes"]])
    assert np.isfinite(boxes).all() and {score["pass"] for score in tube["scores"]} == {0, 1}


def test_inspection_names_its_parts(capsys):
    assert main(["inspect", CONFIG]) == 0
    shown = capsys.readouterr().out
    assert "template" in shown and "swin" not in shown
