"""Training, evaluation and answers of a tiny grounding model through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from stvg_jax.cli import main
from tests import datasets

CONFIGS = Path(__file__).parents[1] / "experiment" / "tiny_experiment.py"


def configured(system: str, tubes: Path, *options: str) -> list[str]:
    """Options of `train` and `eval` for a system and what `write_stored_hcstvg` has written."""
    return ["--config", f"{CONFIGS}:{system}", "--config.eval.split=test", *datasets.overrides(tubes), *options]


def train(config: list[str], run: Path) -> None:
    options = ["--config.train.max_steps=3", "--config.train.save_every=3"]
    assert main(["train", *config, "--workdir", str(run), *options]) == 0


def reported_terms(run: Path) -> set[str]:
    """Names of all metrics of a run of three steps."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "step" in line][-1] == 3
    return {name.split("/")[-1] for line in lines for name in line}


def evaluate(config: list[str], run: Path, out: Path) -> list[dict[str, Any]]:
    """Records of the four videos of the split."""
    assert main(["eval", *config, "--checkpoint", str(run / "last"), "--out", str(out)]) == 0
    records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
    assert len(records) == 4
    return records


def ground(run: Path, tubes: Path, out: Path) -> dict[str, Any]:
    """The answer about one of the videos."""
    video = sorted((tubes / "data").rglob("*.mp4"))[0]
    assert main(["ground", str(video), "the man walks", "--checkpoint", str(run / "last"), "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"tube.json", "tube.mp4", "tube.png"}
    tube = json.loads((out / "tube.json").read_text())
    assert 0 <= tube["start_frame"] < tube["end_frame"] <= 24
    assert np.isfinite([box["box"] for box in tube["boxes"]]).all()
    return tube
