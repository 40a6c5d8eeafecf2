"""Checkpoints of a run: killed, damaged, moved to other devices, on a full disk."""

from __future__ import annotations

import contextlib
import io
import logging
import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import SingleDeviceSharding

from stvg_jax.core.errors import InputError
from stvg_jax.train.checkpoints import Checkpoints
from tests.hosts import ROOT, environment, run_hosts
from tests.train import toy_run

_OPTIMIZER = optax.adam(1e-3)


def make_state(seed: int, rows: int = 3):
    weights = {"a/b": jax.random.normal(jax.random.key(seed), (rows, 5)), "a/c": jnp.full(4, seed, jnp.bfloat16)}
    return {"step": jnp.int32(seed), "weights": weights, "optimizer": _OPTIMIZER.init(weights)}


def abstract(state):
    here = SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), state)


def assert_same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.fixture(scope="module")
def two_saved(tmp_path_factory):
    """A folder with checkpoints of steps 1 and 2."""
    folder = tmp_path_factory.mktemp("saved")
    with Checkpoints(folder) as checkpoints:
        for step in (1, 2):
            checkpoints.save(make_state(step), step, {"step": step})
    return folder


@pytest.fixture
def folder(two_saved, tmp_path):
    return Path(shutil.copytree(two_saved, tmp_path / "checkpoints"))


def test_a_state_comes_back_although_its_memory_was_given_away(tmp_path):
    state = make_state(7, rows=100_000)
    expected = jax.tree.map(np.array, state)
    overwrite = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf + 1, tree), donate_argnums=0)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(abstract(state)) is None
        assert checkpoints.save(state, 7, {"best": 0.5, "name": "x"})
        for _ in range(5):
            state = overwrite(state)
        checkpoints.wait()
        found, extra = checkpoints.restore(abstract(state))
        assert_same(found, expected)
        assert extra == {"best": 0.5, "name": "x"}
        assert not checkpoints.save(state, 7, {}), "a step is saved once"


def test_the_latest_and_the_best_are_kept(tmp_path):
    with Checkpoints(tmp_path, keep=2, keep_best=1) as checkpoints:
        for step, score in enumerate((0.1, 0.9, 0.5, None, 0.2, None), start=1):
            checkpoints.save(make_state(step), step, {})
            if score is not None:
                checkpoints.score(step, score)
        with pytest.raises(ValueError, match="no checkpoint of step 1"):
            checkpoints.score(1, 0.3)
        with pytest.raises(ValueError, match="nan is not a score"):
            checkpoints.score(6, float("nan"))
    with Checkpoints(tmp_path, keep=2, keep_best=1) as checkpoints:
        assert checkpoints.steps() == [2, 5, 6]
        assert checkpoints.scores() == {2: 0.9, 5: 0.2}
        assert checkpoints.best() == 2
        assert_same(checkpoints.restore(abstract(make_state(2)), step=2)[0], make_state(2))


@pytest.mark.parametrize("text", ['{"2": 0.5, "x": 1}', '{"2": "0.5"}', "[]", '{"2": NaN}', '{"2"', "[" * 100_000])
def test_damaged_scores_are_told_and_nothing_counts_as_the_best(tmp_path, caplog, text):
    (tmp_path / "scores.json").write_text(text)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.scores() == {}
        assert checkpoints.best() is None
    assert "scores.json is damaged" in caplog.text


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("damage", "files", "told"),
    [
        (flip, "state/d/*", "differs from its checksum"),
        (flip, "state/ocdbt.process_0/d/*", "differs from its checksum"),
        (flip, "state/**/manifest.ocdbt", "differs from its checksum"),
        (flip, "state/_METADATA", "differs from its checksum"),
        (flip, "state/array_metadatas/process_0", "differs from its checksum"),
        (flip, "about/metadata", "differs from its checksum"),
        (flip, "checksums.json", ""),
        (cut, "state/d/*", "bytes, not"),
        (Path.unlink, "state/ocdbt.process_0/d/*", "is missing"),
        (Path.unlink, "checksums.json", "checksums.json is missing"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over(folder, caplog, damage, files, told):
    with Checkpoints(folder) as checkpoints:
        checkpoints.score(2, 0.8)
    found = sorted((folder / "2").glob(files))
    assert found
    damage(found[-1])
    with Checkpoints(folder) as checkpoints, caplog.at_level(logging.WARNING, "stvg_jax"):
        state, extra = checkpoints.restore(abstract(make_state(1)))
        assert extra == {"step": 1}
        assert_same(state, make_state(1))
        assert f"{folder}/2 is damaged: " in caplog.text
        assert told in caplog.text
        assert checkpoints.best() is None, "the score was that of the damaged one"
        assert checkpoints.save(make_state(2), 2, {"step": 2}), "the run comes to that step again"
    assert (folder / "damaged" / "2").is_dir()
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.restore(abstract(make_state(1)))[1] == {"step": 2}


def test_all_damaged_is_an_error_and_not_a_new_start(folder):
    for step in ("1", "2"):
        flip(next((folder / step).glob("state/d/*")))
    for _ in range(2):
        with Checkpoints(folder) as checkpoints, pytest.raises(InputError, match="2: .*; 1: .*restore the files"):
            checkpoints.restore(abstract(make_state(1)))


def test_reading_beside_a_running_training_changes_nothing(folder):
    flip(next((folder / "2").glob("state/d/*")))
    (folder / "3.orbax-checkpoint-tmp").mkdir()
    before = sorted(folder.rglob("*"))
    with Checkpoints(folder, read_only=True) as checkpoints:
        assert checkpoints.restore(abstract(make_state(1)))[1] == {"step": 1}
        with pytest.raises(InputError, match="2: .* differs from its checksum"):
            checkpoints.restore(abstract(make_state(1)), step=2)
    assert sorted(folder.rglob("*")) == before
    with pytest.raises(InputError, match="no checkpoints in"):
        Checkpoints(folder / "elsewhere", read_only=True)


def test_a_checkpoint_of_another_model(folder):
    with Checkpoints(folder) as checkpoints:
        with pytest.raises(InputError, match=r"weights/a/b has shape \(3, 5\), the model needs \(6, 5\)"):
            checkpoints.restore(abstract(make_state(1, rows=6)))
        with pytest.raises(InputError, match=r"missing   more"):
            checkpoints.restore(abstract(make_state(1) | {"more": jnp.zeros(3)}))
        with pytest.raises(InputError, match="step is int32, not float32"):
            checkpoints.restore(abstract(make_state(1) | {"step": jnp.float32(0)}))
        assert checkpoints.steps() == [1, 2]


def test_arrays_that_earlier_versions_did_not_save(folder):
    """They start with what the rule names; a rule for what is saved, or for what nothing saved, changes nothing."""
    state = make_state(2) | {"counts": {"x": jnp.int32(0), "y": jnp.int32(0)}}
    rules = ((r"counts/(.*)", "elsewhere/\\1"), (r"(counts|weights)/.*", "step"))
    with Checkpoints(folder) as checkpoints:
        with pytest.raises(InputError, match=r"missing   counts/x"):
            checkpoints.restore(abstract(state))
        found, extra = checkpoints.restore(abstract(state), inherited=rules)
        assert_same(found, make_state(2) | {"counts": {"x": jnp.int32(2), "y": jnp.int32(2)}})
        assert extra == {"step": 2}
        # Each has memory of its own, which a training step may give away.
        jax.jit(lambda tree: tree, donate_argnums=0)(found)
        with pytest.raises(InputError, match=r"counts/x has shape \(\), the model needs \(3,\)"):
            checkpoints.restore(abstract(make_state(2) | {"counts": {"x": jnp.zeros(3)}}), inherited=rules)


def test_trouble_is_found_before_training(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write checkpoints into .*file/checkpoints: Not a directory"):
        Checkpoints(tmp_path / "file" / "checkpoints")
    with pytest.raises(InputError, match="keep is 1"):
        Checkpoints(tmp_path, keep=1)
    with Checkpoints(tmp_path / "new", keep=3, keep_best=1) as checkpoints:
        checkpoints.require_space(make_state(1))
        with pytest.raises(InputError, match=r"up to 5 checkpoints of 4,000,000.00 GB are kept.* GB are free"):
            checkpoints.require_space({"w": jax.ShapeDtypeStruct((10**15,), jnp.float32)})


def arrays(path):
    with np.load(path) as file:
        return [file[name] for name in file.files]


def start(*arguments):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *map(str, arguments)], cwd=ROOT, env=environment(), **pipes)


def run(*arguments, hosts=1, devices=1):
    if hosts == devices == 1:
        # Needs no process of its own, which takes seconds to start.
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert toy_run.train(toy_run.make_parser().parse_args(list(map(str, arguments)))) == 0
        return out.getvalue()
    finished = run_hosts(["-m", "tests.train.toy_run", *map(str, arguments)], hosts=hosts, devices=devices)
    for done in finished:
        assert done.returncode == 0, done.stderr
    return finished[0].stdout


def wait_for(pattern, folder, process):
    while process.poll() is None and not list(folder.glob(pattern)):
        time.sleep(0.001)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="Linux only")
def test_a_full_disk_is_told_and_costs_nothing_saved(tmp_path):
    options, folder = [tmp_path, "--rows", 1024], tmp_path / "checkpoints"
    # No room for arrays, and no room for anything at all.
    for first, room in (("2", 1 << 20), ("[4-9]", 0)):
        process = start("-m", "tests.train.toy_run", *options, "--steps", 10_000, "--step-seconds", 0.1)
        wait_for(first, folder, process)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        out, err = process.communicate(timeout=60)
        assert process.returncode == 2, err
        saved = max(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit())
        assert f"checkpoint of step {saved + 2} could not be written" in err
        assert f"free space there and give the same command again: it continues from step {saved}\n" in err
        assert int(out.splitlines()[-1].removeprefix("step ")) < saved + 6, "it is told soon"
    assert f"from {saved}\n" in run(*options, "--steps", saved + 4)
    names = {entry.name for entry in folder.iterdir()}
    assert names == {str(saved + 2), str(saved + 4)}, "the failures left nothing behind"


def test_a_run_killed_at_any_moment_ends_in_the_same_numbers(tmp_path):
    options = ["--steps", "24", "--rows", "256"]
    run(tmp_path / "whole", *options)
    workdir = tmp_path / "killed"
    chance = random.Random(3)
    starts = []
    for in_save in (True, False, True):
        process = start("-m", "tests.train.toy_run", workdir, *options, "--step-seconds", 0.02)
        starts.append(process.stdout.readline())
        for _ in range(5):  # steps; two saves begin in them
            process.stdout.readline()
        if in_save:
            wait_for("*.orbax-checkpoint-tmp*", workdir / "checkpoints", process)
        time.sleep(chance.uniform(0, 0.02 if in_save else 0.1))
        process.kill()
        process.communicate()
    starts.append(run(workdir, *options))
    begun = [int(text.split()[1]) for text in starts]
    assert begun == sorted(begun)
    assert begun[0] == 0
    assert 4 <= begun[-1] < 24, "restarts continue, and the kills came before the end"
    for killed, whole in zip(*(arrays(tmp_path / name / "final-0.npz") for name in ("killed", "whole")), strict=True):
        np.testing.assert_array_equal(killed, whole)


def test_other_devices_and_other_hosts_go_on_where_it_was(tmp_path):
    run(tmp_path, "--steps", 4)
    one = arrays(tmp_path / "final-0.npz")
    assert run(tmp_path, "--steps", 4, "--fsdp", 4, devices=4).startswith("from 4")
    for part, whole in zip(arrays(tmp_path / "final-0.npz"), one, strict=True):
        np.testing.assert_array_equal(part, whole[: len(whole) // 4] if whole.ndim == 2 else whole)
    assert "from 4" in run(tmp_path, "--steps", 8, "--fsdp", 4, hosts=2, devices=2)
    parts = [arrays(tmp_path / f"final-{host}.npz") for host in range(2)]
    assert run(tmp_path, "--steps", 8).startswith("from 8")
    for whole, *shards in zip(arrays(tmp_path / "final-0.npz"), *parts, strict=True):
        # Each host has written its first quarter.
        quarter = len(whole) // 4 if whole.ndim == 2 else None
        for host, shard in enumerate(shards):
            expected = whole[2 * host * quarter :][:quarter] if quarter else whole
            np.testing.assert_array_equal(shard, expected)
