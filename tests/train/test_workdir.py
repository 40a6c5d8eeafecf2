"""The folder of a run."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.parallel.hosts import from_first_host
from stvg_jax.train.workdir import Workdir, require_space, versions
from tests.damage import cut_texts, damaged_objects
from tests.hosts import ROOT, environment, run_hosts

_CONFIG = {"optim": {"lr": 1e-4, "groups": ("a", "b")}, "eval": {"dtype": "float32"}, "seed": 0}


def test_it_keeps_the_configuration_and_every_start(tmp_path):
    path = tmp_path / "new" / "run"
    with Workdir(path, _CONFIG, ["stvg-jax", "train", "--seed=0"]) as workdir:
        workdir.begin()
        assert "start 1" in workdir.describe()
        assert "no checkpoints yet" in workdir.describe()
        (workdir.checkpoints / "1500").mkdir(parents=True)
        (workdir.checkpoints / "1600.orbax-checkpoint-tmp").mkdir()
    changed = _CONFIG | {"eval": {"dtype": "bfloat16"}}
    with Workdir(path, changed, ["again"], may_change=["eval"]) as workdir:
        assert workdir.previous == json.loads(json.dumps(_CONFIG))
        workdir.begin()
        assert "start 2" in workdir.describe()
        assert "step 1,500" in workdir.describe()
    assert json.loads((path / "config.json").read_text()) == json.loads(json.dumps(changed))
    first, second = (json.loads(line) for line in (path / "starts.jsonl").read_text().splitlines())
    assert first["command"] == ["stvg-jax", "train", "--seed=0"]
    assert first["devices"]["platform"] == "cpu"
    assert first["hosts"] == 1
    assert {"python", "stvg-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy"} <= first[
        "versions"
    ].keys()
    assert second["changed"] == {"eval.dtype": ["float32", "bfloat16"]}


def start(path, config=_CONFIG, checkpoint=True):
    """A run that has made a step, and may have saved it."""
    with Workdir(path, config, []) as workdir:
        workdir.begin()
        if checkpoint:
            (workdir.checkpoints / "1").mkdir(parents=True, exist_ok=True)


def test_another_configuration_is_refused_with_the_differences(tmp_path):
    start(tmp_path)
    other = {"optim": {"lr": 2e-4, "groups": ["a"]}, "eval": {"dtype": "bfloat16"}, "more": True}
    with pytest.raises(InputError) as error:
        Workdir(tmp_path, other, [], may_change=["eval.dtype", "opt"])
    for line in (
        "config.optim.lr was 0.0001 there and is 0.0002",
        'config.optim.groups was ["a", "b"] there and is ["a"]',
        "config.seed was 0 there and is absent",
        "config.more was absent there and is true",
    ):
        assert line in str(error.value)
    assert "eval" not in str(error.value)
    assert len((tmp_path / "starts.jsonl").read_text().splitlines()) == 1
    Workdir(tmp_path, _CONFIG, []).close()


def test_a_run_without_a_checkpoint_holds_nothing(tmp_path):
    Workdir(tmp_path, _CONFIG, []).close()
    assert {file.name for file in tmp_path.iterdir()} == {"lock"}
    (tmp_path / "tokenizer").mkdir()
    start(tmp_path, checkpoint=False)
    (tmp_path / "validation").mkdir()
    (tmp_path / "metrics.jsonl").write_text("{")
    other = _CONFIG | {"seed": 1}
    with Workdir(tmp_path, other, ["other"]) as workdir:
        assert workdir.previous is None
        # Nor does a start that ends before its first step change what is there.
        assert len(workdir.starts()) == 1
        assert (tmp_path / "validation").exists()
        workdir.begin()
        assert [start["command"] for start in workdir.starts()] == [["other"]]
    assert not (tmp_path / "validation").exists()
    assert not (tmp_path / "metrics.jsonl").exists()
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 1
    # What it has learned, it holds.
    (tmp_path / "last").mkdir()
    with pytest.raises(InputError, match="config.seed was 1 there and is 0"):
        Workdir(tmp_path, _CONFIG, [])


@pytest.mark.parametrize("name", ["config.json", "checkpoints/1", "last"])
def test_what_others_have_put_there_is_left_alone(tmp_path, name):
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(InputError, match="is not the workdir of a run: it holds .*choose another workdir"):
        Workdir(tmp_path, _CONFIG, [])
    assert [file.name for file in tmp_path.iterdir() if file.name != "lock"] == [name.split("/")[0]]


def test_damage_is_told_with_the_line(tmp_path):
    start(tmp_path)
    start(tmp_path)
    starts = tmp_path / "starts.jsonl"
    whole = starts.read_text()
    first, second = whole.splitlines()
    for what, text in [*damaged_objects(json.loads(second)), *cut_texts(second, 50)]:
        starts.write_text(f"{first}\n{text}\n")
        with pytest.raises(InputError, match="^line 2 of .*starts.jsonl is damaged: ") as error:
            Workdir(tmp_path, _CONFIG, [])
        assert len(str(error.value).splitlines()) == 1, what
    starts.write_bytes(b"\xff" + whole.encode())
    with pytest.raises(InputError, match="^line 1 of"):
        Workdir(tmp_path, _CONFIG, [])
    starts.write_text("")
    with pytest.raises(InputError, match="starts.jsonl is empty"):
        Workdir(tmp_path, _CONFIG, [])
    starts.write_text(whole)
    config = tmp_path / "config.json"
    for text in ("[]", "null", '{"op', "1", "[" * 100_000, "\0"):
        config.write_text(text)
        with pytest.raises(InputError, match="config.json cannot be read"):
            Workdir(tmp_path, _CONFIG, [])


def test_a_folder_with_other_things_in_it(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="is not the workdir of a run: it holds thesis.tex"):
        Workdir(tmp_path, _CONFIG, [])
    with pytest.raises(InputError, match="cannot write into .*thesis.tex/run: Not a directory"):
        Workdir(tmp_path / "thesis.tex" / "run", _CONFIG, [])


def test_a_start_that_was_killed_early_is_no_obstacle(tmp_path):
    (tmp_path / "lock").write_text("process 1 on somewhere\n")
    (tmp_path / "config.json.0123abcd.partial").write_text('{"op')
    with Workdir(tmp_path, _CONFIG, []) as workdir:
        workdir.begin()
    assert json.loads((tmp_path / "config.json").read_text()) == json.loads(json.dumps(_CONFIG))


def test_two_runs_in_one_folder(tmp_path):
    program = f"""if True:
        from pathlib import Path
        from stvg_jax.train.workdir import Workdir
        workdir = Workdir(Path({str(tmp_path)!r}), {{}}, [])
        print("ready", flush=True)
        input()
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=environment(), **pipes)
    assert process.stdout.readline() == "ready\n"
    with pytest.raises(InputError, match=f"another run works in .*: process {process.pid} on "):
        Workdir(tmp_path, {}, [])
    process.send_signal(signal.SIGKILL)
    process.communicate()
    Workdir(tmp_path, {}, []).close()


def test_other_versions_are_told(tmp_path, caplog):
    start(tmp_path)
    starts = tmp_path / "starts.jsonl"
    record = json.loads(starts.read_text())
    record["versions"]["jax"] = "0.1"
    del record["sha256"]
    starts.write_text(json.dumps(record) + "\n")
    with caplog.at_level(logging.WARNING, "stvg_jax"):
        start(tmp_path)
    assert f"versions changed since the last start (jax 0.1 -> {versions()['jax']})" in caplog.text


def test_space(tmp_path):
    require_space(tmp_path, 1, "needs")
    with pytest.raises(InputError, match=r"the test needs 1,000,000.00 GB in .* GB are free"):
        require_space(tmp_path, 10**15, "the test needs")


def test_one_host_asks_nobody():
    def fail():
        raise KeyError("x")

    assert from_first_host(lambda: (1, None)) == (1, None)
    with pytest.raises(KeyError):
        from_first_host(fail)


def test_all_hosts_are_told_what_the_first_one_found(tmp_path):
    program = f"""if True:
        import argparse
        from pathlib import Path
        from stvg_jax.parallel import hosts
        parser = argparse.ArgumentParser()
        hosts.add_arguments(parser)
        hosts.join(parser.parse_args())
        import jax
        from stvg_jax.core.errors import InputError
        from stvg_jax.parallel.hosts import from_first_host
        from stvg_jax.train.workdir import Workdir

        host = jax.process_index()
        print("number", from_first_host(lambda: 10 + host))
        def fail():
            raise OSError("disk on fire")
        try:
            from_first_host(fail)
        except (InputError, OSError) as error:
            print(type(error).__name__, error)
        with Workdir(Path({str(tmp_path)!r}), {{"lr": 1}}, []) as workdir:
            workdir.begin()
            print(workdir.describe())
            (workdir.checkpoints / "1").mkdir(parents=True, exist_ok=True)
        for path, config in (({str(tmp_path)!r}, {{"lr": 2}}), (f"{tmp_path}/config-{{host}}/x", {{}})):
            try:
                Workdir(Path(path), config, [])
            except InputError as error:
                print(error)
    """
    for host, done in enumerate(run_hosts(["-c", program], hosts=2)):
        assert done.returncode == 0, done.stderr
        assert "number 10" in done.stdout
        assert ("InputError host 0 failed: disk on fire" if host else "OSError disk on fire") in done.stdout
        assert "start 1" in done.stdout
        assert "config.lr was 1 there and is 2" in done.stdout
        assert "not all 2 hosts see the files" in done.stdout
    assert json.loads((tmp_path / "starts.jsonl").read_text())["hosts"] == 2
