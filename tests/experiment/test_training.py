"""`stvg-jax train` from stored frames to checkpoints that ground.

The quick tests have steps that compute nothing, between a real loader, workdir, loop, monitor and checkpoints; the slow
ones are the real command in processes of their own.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from stvg_jax.cli import main
from stvg_jax.core import checkpoint
from stvg_jax.experiment import training
from stvg_jax.experiment.building import Experiment
from stvg_jax.parallel.mesh import make_mesh
from stvg_jax.runtime import compilation, memory
from stvg_jax.train.checkpoints import Checkpoints
from stvg_jax.train.monitor import read_metrics
from stvg_jax.train.optim import make_optimizer
from stvg_jax.train.replay import read_replay
from stvg_jax.train.state import TrainState, state_shapes, state_shardings
from tests import datasets
from tests.hosts import ROOT, environment, free_address

CONFIG = Path(__file__).with_name("tiny_experiment.py")


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    return datasets.write_stored_hcstvg(tmp_path_factory.mktemp("training"))


def arguments(data: Path, workdir: Path, *overrides: str, config: Path | str = CONFIG) -> list[str]:
    paths = datasets.overrides(data)
    return ["train", "--config", str(config), "--workdir", str(workdir), *paths, *overrides]


def read_state(workdir: Path) -> tuple[TrainState, dict[str, np.ndarray]]:
    """The state in the newest checkpoint, and all its arrays by name."""
    experiment = Experiment.build(json.loads((workdir / "config.json").read_text()))
    optimizer = make_optimizer(experiment.optim, experiment.groups, experiment.rates(8))
    shapes = state_shapes(experiment.module.declarations, experiment.groups, optimizer)
    lying = state_shardings(shapes, make_mesh(1))
    abstract = jax.tree.map(lambda s, where: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=where), shapes, lying)
    with Checkpoints(workdir / "checkpoints", read_only=True) as checkpoints:
        state, _ = checkpoints.restore(abstract)
    return state, {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in jax.tree.leaves_with_path(state)}


class Steps:
    """Stands for both compiled steps: adds 1 to every parameter; `at` holds what else happens after a step."""

    def __init__(self) -> None:
        self.at: dict[int, object] = {}

    def make_train_step(self, *arguments, **options):
        add = jax.jit(lambda arrays: jax.tree.map(lambda leaf: leaf + 1, arrays))

        def step(state, batch):
            loss = 1.0
            if (what := self.at.get(int(state.step))) is not None:
                loss = what() or loss
            moved = {name: add(getattr(state, name)) for name in ("step", "trained", "average")}
            return dataclasses.replace(state, **moved), {"loss": np.float32(loss), "gradient_norm": np.float32(1)}

        return step

    def make_eval_step(self, module, evaluator, mesh):
        def step(parameters, batch):
            rows, frames = batch["frames_valid"].shape
            shapes = {"boxes_cxcywh": (4,), "start_end_logits": (2,), "actioness_logits": (), "sampling_score": ()}
            return {name: jax.numpy.full((rows, frames, *rest), 0.4) for name, rest in shapes.items()}

        return step


@pytest.fixture
def steps(monkeypatch):
    steps = Steps()
    monkeypatch.setattr(training, "make_train_step", steps.make_train_step)
    monkeypatch.setattr(training, "make_step", steps.make_eval_step)
    # It would change where this whole process keeps its programs.
    monkeypatch.setattr(compilation, "keep_compiled", lambda: None)
    return steps


# Half of the parameters are of such queries, and storing takes time by the number of arrays.
PLAIN = ["--config.model.queries=zero", "--config.model.second_pass=False"]


def train(*given: str | Path, config: Path | str = CONFIG) -> int:
    """Runs the command here and returns its exit code."""
    try:
        return main(arguments(*given, *(PLAIN if config == CONFIG else []), config=config))
    except SystemExit as left:
        return left.code


def test_a_plain_installation_is_told_what_is_missing(data, tmp_path, monkeypatch, capsys):
    for name in ("clu", "tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    assert train(data, tmp_path / "run") == 2
    assert "training needs clu, tensorboard; pip install -e '.[train]' in a clone" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_training_leaves_what_it_promises_and_no_other_may_go_on_there(data, steps, tmp_path, capsys):
    options = ["--config.train.max_steps=2"]
    assert train(data, tmp_path, *options) == 0
    told = capsys.readouterr().out
    assert "step 2 of 2: loss 1.000" in told
    assert "stvg_jax ta_stvg" in told
    assert "spatial_decoder/layers" in told

    lines = read_metrics(tmp_path)
    assert [line["step"] for line in lines if "loss" in line] == [1, 2]
    assert [line["step"] for line in lines if "validation/declarative/m_vIoU" in line] == [2]

    state, _ = read_state(tmp_path)
    for name, note in (("last", "trained, 2 steps"), ("best", "trained, step 2, the best in validation")):
        description = checkpoint.describe(tmp_path / name)
        assert (description.model, description.note) == ("ta_stvg", note)
        parameters = checkpoint.read(tmp_path / name, description)
        for path, average in state.average.items():
            np.testing.assert_array_equal(parameters[path], average, err_msg=path)

    card = json.loads((tmp_path / "best" / "training.json").read_text())
    # The four videos have 24 to 27 frames at 10 per second.
    assert (card["steps"], card["batch_size"], card["clip_sec"]) == (2, 4, 2.55)

    folder = tmp_path / "validation" / "00000002"
    assert {"table.md", "metrics.json", "index.html"} <= {file.name for file in folder.iterdir()}
    pictures = sorted((folder / "examples").iterdir())
    assert [file.name for file in pictures] == ["01.png", "02.png"]
    with Image.open(pictures[0]) as picture:
        assert picture.width == 1400
    assert shown_images(tmp_path / "tensorboard") == {"validation/example_01", "validation/example_02"}

    table = (tmp_path / "parameters.txt").read_text().splitlines()
    elements = sum(array.size for array in parameters.values())
    groups = 5
    assert len(table) == 1 + len(parameters) + groups + 1
    assert table[-1].split() == ["all", f"{elements:,}"]

    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "lock" not in path.name}
    assert train(data, tmp_path, *options, "--config.learning_rates.text=1e-4", "--config.loader.flip=0.5") == 2
    error = capsys.readouterr().err
    assert "config.learning_rates.text was 5e-05 there and is 0.0001" in error
    assert "config.loader.flip was 0.7 there and is 0.5" in error
    assert {path: path.read_bytes() for path in before} == before


def test_a_start_that_comes_to_nothing_holds_nothing(data, steps, tmp_path, capsys):
    options = ["--config.train.max_steps=2", "--config.train.validate_split="]
    assert train(data, tmp_path, *options, "--config.train.tokenizer=absent") == 2
    assert "there is no tokenizer" in capsys.readouterr().err
    (tmp_path / "words.json").write_text(json.dumps({"words": ["man"]}))

    def fail():
        raise KeyboardInterrupt

    steps.at = {0: fail}
    words = f"--config.train.tokenizer={tmp_path / 'words.json'}"
    workdir = tmp_path / "run"
    assert train(data, workdir, *options, words) == 130
    first = (workdir / "tokenizer" / "tokenizer.json").read_bytes()
    steps.at = {}
    assert train(data, workdir, *options, "--config.learning_rates.text=1e-4") == 0
    assert (workdir / "tokenizer" / "tokenizer.json").read_bytes() != first
    assert json.loads((workdir / "config.json").read_text())["learning_rates"]["text"] == 1e-4
    # What has learned something is not overwritten.
    assert train(data, workdir, *options, words) == 2
    assert "config.train.tokenizer was" in capsys.readouterr().err


CONSTANT = ["--config.schedule.linear_groups=()", "--config.schedule.drop_epochs=()", "--config.train.validate_split="]


def test_a_finished_run_is_lengthened_and_damage_is_told(data, steps, tmp_path, capsys):
    for length in (2, 4):
        assert train(data, tmp_path, *CONSTANT, f"--config.train.max_steps={length}") == 0
    assert "4 in all, 2 made" in capsys.readouterr().out
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2, 3, 4]
    assert checkpoint.describe(tmp_path / "last").note == "trained, 4 steps"
    changed = json.loads((tmp_path / "starts.jsonl").read_text().splitlines()[1])["changed"]
    assert changed == {"train.max_steps": [2, 4]}

    words = tmp_path / "tokenizer" / "tokenizer.json"
    whole = words.read_text()
    words.write_text(whole.replace('"man"', '"mao"'))
    assert train(data, tmp_path, *CONSTANT, "--config.train.max_steps=5") == 2
    assert "tokenizer.json is not the one that the run began with" in capsys.readouterr().err
    words.write_text(whole)

    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace('"step": 2', '"stfp": 2'))
    assert train(data, tmp_path, *CONSTANT, "--config.train.max_steps=5") == 2
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith(f"stvg-jax train: line 2 of {metrics} is damaged: it does not end in the checksum")


def test_a_run_of_an_earlier_version_goes_on(data, steps, tmp_path, capsys):
    """Its configuration lacks the settings that this version has added."""
    assert train(data, tmp_path, *CONSTANT, "--config.train.max_steps=2") == 0
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    for section, name in (
        *(("loader", name) for name in ("crop_scales", "crop_sides", "crop_tries")),
        *(("clip", name) for name in ("sizing", "frames_at_once")),
    ):
        del config[section][name]
    path.write_text(json.dumps(config))
    assert train(data, tmp_path, *CONSTANT, "--config.train.max_steps=3") == 0
    changed = json.loads((tmp_path / "starts.jsonl").read_text().splitlines()[1])["changed"]
    assert changed == {"train.max_steps": [2, 3]}


def test_a_rhythm_of_validation_without_a_split_is_told(data, tmp_path, capsys):
    # A start that fails is enough: it is told first.
    options = ["--config.train.validate_split=", "--config.train.tokenizer="]
    assert train(data, tmp_path, *options, "--config.train.validate_every=1") == 2
    told = capsys.readouterr().err
    assert "config.train.validate_split is ''; config.train.validate_every=1 has no effect" in told
    assert train(data, tmp_path, *options) == 2
    assert "validate" not in capsys.readouterr().err


def shown_images(folder: Path) -> set[str]:
    """Names of the pictures in TensorBoard's files."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    values = [
        v for file in folder.iterdir() for event in EventFileLoader(str(file)).Load() for v in event.summary.value
    ]
    return {value.tag for value in values if value.metadata.plugin_data.plugin_name == "images"}


def test_a_signal_saves_and_the_same_command_goes_on(data, steps, tmp_path, capsys):
    options = ["--config.train.max_steps=4", "--config.train.save_every=100", "--config.train.validate_split="]
    steps.at = {2: lambda: os.kill(os.getpid(), signal.SIGTERM)}
    assert train(data, tmp_path, *options) == 128 + signal.SIGTERM
    assert "stopped after step 3; the same command continues" in capsys.readouterr().out
    assert not (tmp_path / "last").exists()
    steps.at = {}
    assert train(data, tmp_path, *options) == 0
    assert "4 in all, 3 made" in capsys.readouterr().out
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2, 3, 4]


def test_a_loss_that_is_not_finite_ends_it_with_the_samples_kept(data, steps, tmp_path, capsys):
    options = ["--config.train.max_steps=6", "--config.train.validate_split=", "--config.train.batch_size=2"]
    steps.at = {3: lambda: np.nan}
    assert train(data, tmp_path, *options) == 2
    error = capsys.readouterr().err
    assert "training diverged at step 3: loss is nan; the newest checkpoint is of step 2" in error
    replay = read_replay(next((tmp_path / "replay").iterdir()))
    assert (replay.step, replay.checkpoint, replay.config) == (3, 2, str(tmp_path / "config.json"))
    assert len(set(replay.samples)) == 2
    assert set(replay.samples) <= {"0", "1", "2", "3"}


BACKBONES = {"resnet", "appearance_projection", "swin", "motion_projection"}


@pytest.mark.parametrize(
    ("name", "shared_parts"),
    [("region_recognition", BACKBONES), ("pointing", BACKBONES | {"roberta", "text_projection", "encoder"})],
)
def test_a_part_of_a_model_is_a_start_and_cannot_ground(data, steps, tmp_path, capsys, name, shared_parts):
    part, whole = tmp_path / "part", tmp_path / "whole"
    options = ["--config.train.max_steps=2"]
    assert train(data, part, *options, config=f"{CONFIG}:{name}") == 0
    description = checkpoint.describe(part / "last")
    assert (description.model, description.kind) == (name, "initialisation")
    learned = checkpoint.read(part / "last", description)

    grounding = ["ground", str(data / "data"), "the man", "--checkpoint", str(part / "last")]
    assert main(grounding) == 2
    assert "holds parameters to start a training from ('trained, 2 steps')" in capsys.readouterr().err

    start = ["--config.train.validate_split=", f"--config.train.initialise=('{part / 'last'}',)"]
    assert train(data, tmp_path / "strict", *options, *start) == 2
    assert re.search(r"\+ motion_head/\S*kernel \(32, \d\) is not a parameter of the model", capsys.readouterr().err)
    leave_out = "--config.train.leave_out=('(appearance|motion)_head/.*',)"
    assert train(data, whole, *options, *start, leave_out) == 0
    grounds = checkpoint.read(whole / "last", checkpoint.describe(whole / "last"))
    shared = set(learned) & set(grounds)
    assert {path.split("/")[0] for path in shared} == shared_parts
    for path in shared:
        # The steps here add 1 to all that is trained, and to its average.
        moved = 0 if path.rsplit("/", 1)[1] in ("mean", "var") else 2
        np.testing.assert_allclose(grounds[path], learned[path] + moved, atol=1e-5, err_msg=path)


@pytest.mark.parametrize("name", ["region_recognition", "pointing"])
def test_a_part_of_a_model_is_not_validated(data, steps, tmp_path, capsys, name):
    assert train(data, tmp_path, "--config.train.validate_split=test", config=f"{CONFIG}:{name}") == 2
    assert f"validate_split is 'test', but {name} only serves as a start" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--config.train.batch_size=3", "--config.train.parts=2"],
            "batch_size=3 must be a multiple of 1 devices times",
        ),
        (["--config.train.examples=-1"], "config.train: examples is -1; it must be at least 0"),
        (["--config.train.tokenizer="], "there is no tokenizer"),
    ],
)
def test_what_cannot_be_trained(data, steps, tmp_path, capsys, options, message):
    assert train(data, tmp_path, *options) == 2
    assert message in capsys.readouterr().err


def test_a_batch_that_no_device_holds_is_refused_first(data, steps, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(memory, "device_memory", lambda: 10_000)
    assert train(data, tmp_path, "--config.train.validate_split=") == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert re.search(r"batch_size=4, parts=1: 4 x \d+ frames of 44x32 take at least", told)
    assert not (tmp_path / "config.json").exists()


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Later processes load programs that the first one compiled."""
    return environment() | {"STVG_JAX_CACHE": str(tmp_path_factory.mktemp("programs"))}


def start(programs: dict[str, str], *given: str | Path, **variables: str) -> subprocess.Popen:
    """Starts the command with these environment variables besides."""
    command = [sys.executable, "-m", "stvg_jax.cli", *arguments(*given)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=programs | variables, **pipes)


def finish(process: subprocess.Popen, code: int = 0) -> str:
    out, err = process.communicate(timeout=600)
    assert process.returncode == code, err
    return out


def wait_for(process: subprocess.Popen, beginning: str) -> None:
    for line in process.stdout:
        if line.startswith(beginning):
            return
    raise AssertionError(process.stderr.read())


def assert_close_parameters(workdir: Path, expected: Path) -> None:
    """For other numbers of devices, which add in another order; eight steps move a parameter by 1.6e-3 and more."""
    ours, theirs = read_state(workdir)[0], read_state(expected)[0]
    assert int(ours.step) == int(theirs.step)
    for path, parameter in ours.trained.items():
        np.testing.assert_allclose(parameter, theirs.trained[path], atol=2e-4, err_msg=path)


def assert_same_state(workdir: Path, expected: Path) -> None:
    ours, theirs = read_state(workdir)[1], read_state(expected)[1]
    assert list(ours) == list(theirs)
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


UNSEEN = "--config.train.validate_split="


@pytest.fixture(scope="module")
def whole(data, programs, tmp_path_factory) -> Path:
    """The workdir of a training that nothing interrupted."""
    workdir = tmp_path_factory.mktemp("whole")
    assert "step 8 of 8" in finish(start(programs, data, workdir, UNSEEN))
    return workdir


@pytest.mark.slow
def test_killed_and_started_again_it_comes_to_the_same_bits(data, programs, whole, tmp_path):
    process = start(programs, data, tmp_path, UNSEEN)
    wait_for(process, "step 5 of 8")
    process.kill()
    process.communicate()
    assert not (tmp_path / "last").exists()
    told = finish(start(programs, data, tmp_path, UNSEEN))
    # The kill may have come before the checkpoint of step 4 was complete.
    assert re.search(r"8 in all, [24] made", told)
    assert_same_state(tmp_path, whole)


@pytest.mark.slow
def test_stopped_by_a_signal_it_goes_on_to_the_same_bits_and_on_another_mesh(data, programs, whole, tmp_path):
    process = start(programs, data, tmp_path / "stopped", UNSEEN)
    wait_for(process, "step 3 of 8")
    process.terminate()
    assert "the same command continues" in finish(process, 128 + signal.SIGTERM)
    shutil.copytree(tmp_path / "stopped", tmp_path / "spread")
    finish(start(programs, data, tmp_path / "stopped", UNSEEN))
    assert_same_state(tmp_path / "stopped", whole)

    told = finish(start(programs, data, tmp_path / "spread", UNSEEN, "--config.train.fsdp=2", JAX_NUM_CPU_DEVICES="4"))
    assert "devices: 4 (2 share one copy)" in told
    assert_close_parameters(tmp_path / "spread", whole)


@pytest.mark.slow
def test_two_hosts_stop_together_and_go_on_under_slurm(data, programs, whole, tmp_path):
    """SLURM is played by the variables that it sets."""
    by_hand = ["--coordinator", free_address(), "--hosts", "2", "--host"]
    hosts = [start(programs, data, tmp_path, UNSEEN, *by_hand, str(host)) for host in range(2)]
    wait_for(hosts[0], "step 3 of 8")
    hosts[1].terminate()
    assert "the same command continues" in finish(hosts[0], 128 + signal.SIGTERM)
    finish(hosts[1], 128 + signal.SIGTERM)

    job = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2"}
    job |= {"SLURM_LOCALID": "0", "JAX_LOCAL_DEVICE_IDS": "0"}
    tasks = [start(programs, data, tmp_path, UNSEEN, "--distributed", **job, SLURM_PROCID=str(n)) for n in range(2)]
    assert "devices: 2 (1 share one copy)" in finish(tasks[0])
    assert "step 8" not in finish(tasks[1])
    assert_close_parameters(tmp_path, whole)


@pytest.mark.slow
def test_a_real_validation_and_a_checkpoint_that_evaluates(data, programs, tmp_path):
    told = finish(start(programs, data, tmp_path, "--config.train.max_steps=2"))
    assert "stvg_jax ta_stvg" in told
    assert len(list((tmp_path / "validation" / "00000002" / "examples").glob("*.png"))) == 2
    options = [*arguments(data, tmp_path)[5:], "--checkpoint", str(tmp_path / "best"), "--out", str(tmp_path / "eval")]
    command = [sys.executable, "-m", "stvg_jax.cli", "eval", "--config", str(CONFIG), *options]
    subprocess.run(command, cwd=ROOT, env=programs, check=True, capture_output=True)
    results = [
        json.loads((folder / "metrics.json").read_text())["results"]
        for folder in (tmp_path / "eval", tmp_path / "validation" / "00000002")
    ]
    assert results[0] == results[1]
