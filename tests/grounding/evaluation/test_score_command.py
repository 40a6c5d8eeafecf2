"""`stvg-jax score`, from files to figures."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stvg_jax.cli import main
from stvg_jax.data_pipeline.datasets.reading import read_annotations
from stvg_jax.eval.records import write_records
from stvg_jax.grounding.evaluation.records import Record
from stvg_jax.grounding.evaluation.types import Prediction

ROOT = Path(__file__).parents[3]
FRAMES, BOX = 60, [100, 50, 40, 60]  # x, y, width, height
XYXY = [100, 50, 140, 110]


@pytest.fixture
def annotations(tmp_path):
    """HC-STVG: three videos, the described person in frames 10 to 19; one more that the released systems leave out."""
    names = ["a.mp4", "10__Gvp-cj3bmIY.mp4", "b.mp4", "c.mp4"]
    entry = {
        "bbox": [BOX] * 10,
        "st_frame": 11,
        "st_time": 1,
        "ed_time": 2,
        "caption": "the man walks",
        "sub": "the man",
    }
    entry |= {"width": 320, "height": 180, "img_num": FRAMES}
    path = tmp_path / "annos" / "test.json"
    path.parent.mkdir()
    path.write_text(json.dumps(dict.fromkeys(names, entry)))
    return tmp_path


def answers(box=XYXY, interval=(10, 20), keys=("0", "2", "3")):
    return {
        "predictions": {key: {str(frame): [box] for frame in range(FRAMES)} for key in keys},
        "video_predictions": {key: {"sted": list(interval)} for key in keys},
    }


def run(folder, predictions, *options):
    path = folder / "test_results.json"
    path.write_text(json.dumps(predictions))
    return main(["score", str(path), "--dataset", "hcstvg", "--annotations", str(folder), *options])


def test_scores_are_printed_and_written(annotations, capsys):
    assert run(annotations, answers(), "--benchmark", "hcstvg1", "--out", str(annotations / "out")) == 0
    printed = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["TA-STVG", "(ICLR", "2025)", "53.0", "39.1", "63.1", "36.8"] for line in printed)
    assert any(line.split() == ["test_results.json", "90.0", "90.0", "100.0", "100.0"] for line in printed)
    assert any(line.split() == ["declarative", "3", "100.0", "100.0", "100.0"] for line in printed)
    assert "Declarative: 3 of the benchmark's 1,160 samples." in printed
    metrics = json.loads((annotations / "out" / "metrics.json").read_text())
    assert metrics["results"]["declarative"]["samples"] == 3
    assert metrics["results"]["declarative"]["m_vIoU"] == pytest.approx(0.9)
    assert metrics["split"] == "test"
    assert "| **test_results.json** | **90.0** |" in (annotations / "out" / "table.md").read_text()


def test_no_published_figures_beside_another_set(annotations, capsys):
    assert run(annotations, answers()) == 0
    assert "TA-STVG" not in capsys.readouterr().out


def test_records_are_scored_alike(annotations, capsys):
    samples = read_annotations("hcstvg", annotations, split="test").samples
    prediction = Prediction((10, 20), np.array([0, 15, 59]), np.array([XYXY] * 3, np.float32))
    path = annotations / "records.jsonl"
    write_records(path, [Record.of(sample, prediction) for sample in samples])
    assert main(["score", str(path), "--dataset", "hcstvg", "--annotations", str(annotations)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert any(line.split() == ["records.jsonl", "90.0", "90.0", "100.0", "100.0"] for line in printed)


def test_everything_wrong_is_told_at_once(annotations, capsys):
    predictions = answers(keys=("0", "2", "77"))
    predictions["predictions"]["0"]["4"] = [[1, 2, 3]]
    predictions["predictions"]["2"]["5"] = [[1, 2, float("nan"), 3]]
    assert run(annotations, predictions, "--out", str(annotations / "out")) == 2
    error = capsys.readouterr().err
    for wanted in (
        "test_results.json cannot be scored:",
        "boxes that are not four numbers (1): 0 (frame 4: 3 values)",
        "boxes that are not finite (1): 2 (frame 5)",
        "samples that the annotations do not have (1): 77",
        "no prediction (--missing zero or --missing skip go on without) (1): 3",
    ):
        assert wanted in error
    assert not (annotations / "out").exists()


@pytest.mark.parametrize(("missing", "mean"), [("zero", "60.0"), ("skip", "90.0")])
def test_missing_predictions(annotations, capsys, missing, mean):
    assert run(annotations, answers(keys=("0", "3")), "--missing", missing) == 0
    out = capsys.readouterr().out
    assert mean in out
    assert "1 of 3 samples have no prediction" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.json"], "predictions nowhere.json do not exist"),
        (["{folder}/annos/test.json"], "has no 'predictions' and no 'video_predictions'"),
        (["{folder}/test.txt"], "is not a result file of the released systems, nor records of this library"),
        (["{folder}/empty.jsonl"], "has no records"),
        (["{folder}/test.txt", "--split", "val"], "has no annotations of the split 'val'"),
        (["{folder}/test.txt", "--out", "{folder}/test.txt/out"], "cannot write into"),
    ],
)
def test_wrong_files(annotations, capsys, arguments, message):
    (annotations / "test.txt").write_text("nonsense")
    (annotations / "empty.jsonl").write_text("")
    arguments = [argument.format(folder=annotations) for argument in arguments]
    assert main(["score", *arguments, "--dataset", "hcstvg", "--annotations", str(annotations)]) == 2
    assert message in capsys.readouterr().err


def test_jax_is_not_needed(annotations):
    (annotations / "r.json").write_text(json.dumps(answers()))
    arguments = ["score", "r.json", "--dataset", "hcstvg", "--annotations", ".", "--out", "out"]
    program = f"""if True:
        import os, sys
        for name in ("jax", "flax", "optax", "orbax", "tensorflow", "av", "torch"):
            sys.modules[name] = None
        from stvg_jax.cli import main
        os.chdir({str(annotations)!r})
        sys.exit(main({arguments}))
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "90.0" in done.stdout
