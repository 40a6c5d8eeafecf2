"""A loss that is not a number."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.train.replay import TrainingDiverged, check_finite, read_replay
from tests.hosts import run_hosts
from tests.train.test_checkpoints import run

_STEP = {"step": 123, "seed": 4, "samples": ["v1_0", "v2_5"], "checkpoint": 100}


def test_numbers_are_left_alone(tmp_path):
    folder = tmp_path / "replay"
    check_finite({"loss": np.float32(1), "other": np.nan}, folder, config=tmp_path / "config.json", **_STEP)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ({"loss": np.float32(np.nan), "gradient_norm": np.float32(2)}, "loss is nan;"),
        ({"loss": np.float32(1), "gradient_norm": np.float32(np.inf)}, "gradient_norm is inf;"),
    ],
)
def test_the_step_can_be_found_again(tmp_path, metrics, told):
    layers = {"box/l1": np.array([0.5, np.nan], np.float32)}
    with pytest.raises(TrainingDiverged, match=f"diverged at step 123: {told} the newest checkpoint is of step 100"):
        check_finite(metrics | layers, tmp_path / "replay", config=tmp_path / "config.json", **_STEP)
    (path,) = (tmp_path / "replay").iterdir()
    replay = read_replay(path)
    assert (replay.step, replay.seed, replay.checkpoint, replay.samples) == (123, 4, 100, ["v1_0", "v2_5"])
    assert replay.config == str(tmp_path / "config.json")
    np.testing.assert_equal(replay.metrics, {name: np.asarray(v).tolist() for name, v in (metrics | layers).items()})


def test_what_is_not_a_replay_file(tmp_path):
    path = tmp_path / "file"
    for content in ("", "[]", "{}", '{"schema": "other/1"}', '{"schema": "stvg_jax.replay/1", "step": 1}'):
        path.write_text(content)
        with pytest.raises(InputError, match="is not a replay file"):
            read_replay(path)
    with pytest.raises(InputError, match="is not a replay file"):
        read_replay(tmp_path / "missing")


def test_a_run_stops_and_keeps_what_was_finite(tmp_path):
    (done,) = run_hosts(["-m", "tests.train.toy_run", str(tmp_path), "--nan-at", "5", "--save-every", "1"])
    assert done.returncode == 2
    assert "training diverged at step 5: loss is nan; the newest checkpoint is of step 5" in done.stderr
    assert "Traceback" not in done.stderr
    assert read_replay(next((tmp_path / "replay").iterdir())).samples == ["sample5"]
    assert run(tmp_path, "--steps", 6).startswith("from 5")
