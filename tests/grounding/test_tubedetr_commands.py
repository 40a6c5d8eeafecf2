"""TubeDETR from training to an answer, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stvg_jax.cli import main
from stvg_jax.core.checkpoint import describe
from stvg_jax.grounding.inference.grounder import Grounder
from stvg_jax.grounding.tubes import log_softmax
from stvg_jax.models.loading import load_model
from tests.datasets import write_stored_hcstvg
from tests.grounding import commands

# Of clips that count as 20 seconds, 20 frames.
CLIP = ["--config.clip.sampling=tubedetr_hcstvg", "--config.clip.sample_fps=1.0", "--config.model.stride=3"]


@pytest.fixture(scope="module")
def tubes(tmp_path_factory) -> Path:
    """Videos with all frames of their clips, since no other system takes the same."""
    return write_stored_hcstvg(tmp_path_factory.mktemp("tubes"), "--frames", "clips")


@pytest.fixture(scope="module")
def trained(tubes, tmp_path_factory) -> tuple[list[str], Path]:
    """(options of the configuration, run folder)."""
    config = commands.configured("tubedetr", tubes, *CLIP)
    run = tmp_path_factory.mktemp("tubedetr") / "run"
    commands.train(config, run)
    return config, run


def test_training_reports_every_term_of_the_loss(trained):
    _, run = trained
    named = commands.reported_terms(run)
    assert {"box_l1", "box_giou", "start_end", "guided_attention"} <= named
    assert "actioness" not in named
    description = describe(run / "last")
    assert description.model == "tubedetr"
    assert description.config["clip"]["sampling"] == "tubedetr_hcstvg"
    assert description.config["model"]["stride"] == 3


def test_evaluation_asks_in_one_pass_and_measures_twice(trained, tmp_path, capsys):
    records = commands.evaluate(*trained, tmp_path / "eval")
    assert {number for record in records for number in record["scores"]["pass"]} == {0}
    # A frame of each second, the last of which is that of the clip's last frame.
    assert [len(record["frames"]) for record in records] == [19, 19, 19, 19]
    assert all(0 <= value <= 1 for record in records for value in record["scores"]["actioness"])
    written = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    own, usual = written["own_measures"]["sampled_frames"]["declarative"], written["results"]["declarative"]
    assert own.keys() == usual.keys() and own["samples"] == 4
    assert own["m_tIoU"] > usual["m_tIoU"]
    assert "TubeDETR's own measures" in capsys.readouterr().out
    assert "TubeDETR's own measures" in (tmp_path / "eval" / "table.md").read_text()
    assert "TubeDETR&#x27;s own measures" in (tmp_path / "eval" / "index.html").read_text()


def test_a_model_for_fewer_frames_sees_a_clip_in_parts(trained, tubes, tmp_path):
    """In an evaluation and in an answer, by the same frames."""
    config, run = trained
    parts = "--config.clip.frames_at_once=8"
    records = commands.evaluate([*config, parts], run, tmp_path / "eval")
    for record in records:
        assert record["scores"]["pass"] == [0] * 8 + [1] * 8 + [2] * 3
        assert sum(record["scores"]["start"]) == pytest.approx(1) == sum(record["scores"]["end"])
    model = load_model(run / "last", clip={"frames_at_once": 8})
    grounder, video = Grounder(model), sorted((tubes / "data").rglob("*.mp4"))[0]
    tube = grounder.ground(video, "the man walks")
    assert tube.scores.passes.tolist() == [0] * 8 + [1] * 8 + [2] * 3
    (question,) = grounder.ask(["the man walks"])
    clip = grounder.read_clip(video, [question])
    logits = [
        grounder.forward(frames[: len(ids)], question.ids).start_end_logits[-1]
        for frames, ids in zip(clip.frames, clip.frame_ids, strict=True)
    ]
    expected = np.exp(log_softmax(np.concatenate(logits)))
    np.testing.assert_allclose(np.stack([tube.scores.start, tube.scores.end], axis=1), expected, atol=2e-6)


def test_an_answer_about_a_video(trained, tubes, tmp_path):
    tube = commands.ground(trained[1], tubes, tmp_path / "tube")
    assert {score["pass"] for score in tube["scores"]} == {0}


def test_inspection_names_its_parts(capsys):
    assert main(["inspect", f"{commands.CONFIGS}:tubedetr"]) == 0
    shown = capsys.readouterr().out
    assert "fast_branch" in shown and "swin" not in shown
