"""`stvg-jax eval`, from stored frames and a checkpoint to the files of results."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from stvg_jax.cli import main
from stvg_jax.eval import runner
from stvg_jax.grounding.evaluation.records import Record, read_records
from stvg_jax.grounding.inference import Grounder
from tests.grounding.evaluation import quick_step
from tests.grounding.evaluation.conftest import SAMPLES
from tests.grounding.inference.conftest import use_test_cache
from tests.hosts import run_hosts


def arguments(dataset: Path, checkpoint: Path, out: Path, *overrides: str) -> list[str]:
    return [
        *("eval", "--config", "ta_stvg_hcstvg1", "--checkpoint", str(checkpoint), "--out", str(out)),
        f"--config.data.annotations={dataset / 'data' / 'hc-stvg'}",
        f"--config.data.frames={dataset / 'frames' / 'hc-stvg'}",
        *overrides,
    ]


@pytest.fixture(scope="module")
def whole(hcstvg, checkpoint, tmp_path_factory):
    """Results of an evaluation that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole")
    assert main(arguments(hcstvg, checkpoint, out)) == 0
    return out


def answers(out: Path) -> dict[str, Record]:
    return {record.id: record for record in read_records(out / "records.jsonl")}


def assert_same_answers(out: Path, expected: Path) -> None:
    ours, theirs = answers(out), answers(expected)
    assert list(ours) == list(theirs)
    for key, record in ours.items():
        other = theirs[key]
        assert record.prediction.interval == other.prediction.interval
        np.testing.assert_array_equal(record.prediction.frames, other.prediction.frames)
        np.testing.assert_allclose(record.prediction.boxes_xyxy, other.prediction.boxes_xyxy, atol=2e-4)
        np.testing.assert_allclose(record.scores.start, other.scores.start, atol=1e-5)
    results = [json.loads((folder / "metrics.json").read_text())["results"] for folder in (out, expected)]
    for kind, group in results[0].items():
        assert group == pytest.approx(results[1][kind], abs=1e-5)


def test_all_files_are_written(whole):
    assert {path.name for path in whole.iterdir()} == {
        *("records", "records.jsonl", "predictions.json", "metrics.json", "table.md", "index.html")
    }
    assert list(answers(whole)) == [str(i) for i in range(SAMPLES)]
    assert json.loads((whole / "metrics.json").read_text())["results"]["declarative"]["samples"] == SAMPLES
    table = (whole / "table.md").read_text()
    assert "TA-STVG (ICLR 2025)" in table
    assert f"{SAMPLES} of the benchmark's 1,160 samples" in table
    assert (whole / "index.html").read_text().count("data:image/jpeg") >= 3


def test_the_answers_are_those_of_ground(whole, hcstvg, checkpoint, monkeypatch, tmp_path):
    """The same frames, text, passes and union, from another way in; the JPEGs make a small difference."""
    use_test_cache(monkeypatch, tmp_path)
    grounder = Grounder.load(checkpoint)
    record = answers(whole)["1"]
    video = hcstvg / "data" / "hc-stvg" / "v1_video" / record.video
    tube = grounder.ground(video, record.sentence, subject=record.subject)
    np.testing.assert_array_equal(tube.scores.frames, record.scores.frames)
    for name in ("start", "end", "actioness"):
        np.testing.assert_allclose(getattr(tube.scores, name), getattr(record.scores, name), atol=5e-3, err_msg=name)
    # Where two ends are as good, the small difference may decide between them.
    filled = record.prediction.filled()
    both, ours, theirs = np.intersect1d(tube.box_frames, filled.frames, return_indices=True)
    assert len(both) >= 0.8 * max(len(tube.box_frames), len(filled.frames))
    inside = np.clip(filled.boxes_xyxy, 0, [record.width, record.height] * 2)
    np.testing.assert_allclose(tube.boxes_xyxy[ours], inside[theirs], atol=0.3)


def test_score_agrees(whole, hcstvg, tmp_path):
    options = ["--dataset", "hcstvg", "--annotations", str(hcstvg / "data" / "hc-stvg"), "--out", str(tmp_path)]
    assert main(["score", str(whole / "predictions.json"), *options]) == 0
    results = [json.loads((folder / "metrics.json").read_text())["results"] for folder in (whole, tmp_path)]
    assert results[0]["declarative"] == pytest.approx(results[1]["declarative"], abs=1e-6)


# Kills itself when the first answer is written.
_KILLED = """if True:
    import os
    import signal
    import sys

    from stvg_jax.cli import main
    from stvg_jax.eval import runner
    from stvg_jax.eval.runner import RecordWriter
    from tests.grounding.evaluation import quick_step

    runner.make_step = quick_step.make_step
    append = RecordWriter.append

    def killed(writer, records):
        append(writer, records)
        os.kill(os.getpid(), signal.SIGKILL)

    RecordWriter.append = killed
    main(sys.argv[1:])
"""


def test_a_killed_evaluation_goes_on_where_it_was(hcstvg, checkpoint, monkeypatch, tmp_path):
    monkeypatch.setattr(runner, "make_step", quick_step.make_step)
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert main(arguments(hcstvg, checkpoint, whole)) == 0
    part = out / "records" / "part-00000.jsonl"
    (process,) = run_hosts(["-c", _KILLED, *arguments(hcstvg, checkpoint, out)])
    assert process.returncode == -signal.SIGKILL, process.stderr
    before = part.read_bytes()
    assert 0 < before.count(b"\n") < SAMPLES
    part.write_bytes(before + b'{"id": "torn')
    assert main(arguments(hcstvg, checkpoint, out)) == 0
    assert part.read_bytes().startswith(before)
    assert_same_answers(out, whole)


@pytest.mark.slow
def test_two_hosts_of_two_devices_give_what_one_gives(whole, hcstvg, checkpoint, tmp_path):
    command = ["-m", "stvg_jax.cli", *arguments(hcstvg, checkpoint, tmp_path)]
    first, second = done = run_hosts(command, hosts=2, devices=2)
    assert [process.returncode for process in done] == [0, 0], "".join(process.stderr for process in done)
    assert "stvg_jax ta_stvg" in first.stdout
    assert "stvg_jax ta_stvg" not in second.stdout
    parts = [len(read_records(path)) for path in sorted((tmp_path / "records").glob("*.jsonl"))]
    assert parts == [2, 2]
    assert_same_answers(tmp_path, whole)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--config.eval.split=val"], "val"),
        (["--config.eval.samples_per_device=0"], "samples_per_device=0 must be at least 1"),
        (["--config.eval.benchmark=mine"], "unknown benchmark 'mine'; choose one of hcstvg1, hcstvg2, vidstg, "),
        (["--config.eval.dtype=float16"], "dtype 'float16' is unknown; choose one of float32, bfloat16"),
        (["--config.data.frames="], "config.data.frames is not set; give it with --config.data.frames=PATH"),
        (["--config.data.frames=nowhere"], "nowhere"),
        (["--config.data.split=test"], "config.data.split is unknown; config.data has annotations, "),
        (["--unknown"], "unrecognized arguments: --unknown"),
    ],
)
def test_what_cannot_be_evaluated(overrides, message, hcstvg, checkpoint, tmp_path, capsys):
    try:
        code = main(arguments(hcstvg, checkpoint, tmp_path / "out", *overrides))
    except SystemExit as left:
        code = left.code
    assert code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error


def test_sentences_in_other_languages_are_counted(whole, hcstvg, checkpoint, monkeypatch, capsys):
    monkeypatch.setattr("stvg_jax.data_pipeline.language.identification.is_english", lambda sentence: False)
    assert main(arguments(hcstvg, checkpoint, whole, "--config.model.sampling_threshold=0.1")) == 2
    told = capsys.readouterr().err.splitlines()
    assert sum("sentences do not look like English, such as " in line for line in told) == 1


def test_another_model_does_not_continue(whole, hcstvg, checkpoint, capsys):
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    changed = arguments(hcstvg, checkpoint, whole, "--config.model.sampling_threshold=0.1")
    assert main(changed) == 2
    assert "are of another evaluation" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before


def test_an_evaluation_that_is_whole_is_only_reported_again(whole, hcstvg, checkpoint, capsys):
    assert main(arguments(hcstvg, checkpoint, whole)) == 0
    told = capsys.readouterr()
    assert "evaluating" not in told.err
    assert "HC-STVG v1" in told.out
