"""Folders of runs: starts, configuration and metrics of a training, the identity of an evaluation, replays."""

from __future__ import annotations

import json
from pathlib import Path

from tests.fuzz import mutations
from tests.fuzz.engine import Target
from tests.fuzz.worker import Place

_CONFIG = {"name": "ta_stvg", "train": {"max_steps": 3, "initialise": ["a"]}, "eval": {"split": "test"}}
_TOKENS = (
    b"time",
    b"step",
    b"versions",
    b"command",
    b"null",
    b"[]",
    b"{}",
    b"\n",
    b"\xff",
    b"\x1b[31m",
    b"NaN",
    b"1e400",
)


def _workdir(folder: Path) -> Path:
    from stvg_jax.train.monitor import METRICS
    from stvg_jax.train.workdir import Workdir

    for number in range(2):
        with Workdir(folder / "run", _CONFIG, ["train", str(number)]) as workdir:
            workdir.begin()
        # A run that has come to no checkpoint holds nothing that another start would mind.
        (workdir.checkpoints / "3").mkdir(parents=True, exist_ok=True)
    lines = [{"step": step, "loss": 1.5, "gradient_norm": float("nan")} for step in (1, 2, 3)]
    (folder / "run" / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "run"


def _starts(folder: Path) -> list[bytes]:
    return [(_workdir(folder) / "starts.jsonl").read_bytes()]


def _read_starts(data: bytes, place: Place) -> object:
    return _start(place.replaced(place.seeds / "run", "starts.jsonl", data))


def _configs(folder: Path) -> list[bytes]:
    return [(_workdir(folder) / "config.json").read_bytes()]


def _read_config(data: bytes, place: Place) -> object:
    return _start(place.replaced(place.seeds / "run", "config.json", data))


def _metrics(folder: Path) -> list[bytes]:
    return [(_workdir(folder) / "metrics.jsonl").read_bytes()]


def _read_metrics(data: bytes, place: Place) -> object:
    return _start(place.replaced(place.seeds / "run", "metrics.jsonl", data))


def _start(folder: Path) -> object:
    """As `stvg-jax train` begins in the folder of a run."""
    from stvg_jax.train import monitor
    from stvg_jax.train import workdir as module
    from stvg_jax.train.workdir import Workdir

    # It asks git for the version of the library, of which nothing comes from the folder.
    module._commit = lambda _: None
    with Workdir(folder, _CONFIG, ["train"]) as workdir:
        told = workdir.describe()
        workdir.begin()
        lines = len(monitor.read_metrics(folder))
        monitor._drop_later(folder, 2)
    return len(told.split()), lines


def _identities(folder: Path) -> list[bytes]:
    from stvg_jax.eval.records import check_identity

    check_identity(folder, _IDENTITY)
    return [(folder / "identity.json").read_bytes()]


_IDENTITY = {"checkpoint": "0123", "clip": {"resolution": 96}, "samples": 3}


def _read_identity(data: bytes, place: Place) -> object:
    from stvg_jax.eval.records import check_identity

    path = place.out / "identity.json"
    path.write_bytes(data)
    return check_identity(path.parent, _IDENTITY)


def _replays(folder: Path) -> list[bytes]:
    replay = {
        "step": 3,
        "seed": 0,
        "config": "config.json",
        "checkpoint": None,
        "metrics": {"loss": 1.0},
        "samples": ["0"],
    }
    return [json.dumps({"schema": "stvg_jax.replay/1", **replay, "host": 0, "hosts": 1}).encode()]


def _read_replay(data: bytes, place: Place) -> object:
    from stvg_jax.train.replay import read_replay

    return type(read_replay(place.file("replay.json", data)).step).__name__


_JSON = (mutations.damage_json, mutations.damage_bytes)
TARGETS = (
    Target("run-starts", _starts, _read_starts, (mutations.damage_lines,), _TOKENS),
    Target("run-config", _configs, _read_config, _JSON, _TOKENS),
    Target("run-metrics", _metrics, _read_metrics, (mutations.damage_lines,), _TOKENS),
    Target("identity", _identities, _read_identity, _JSON, _TOKENS),
    Target("replay", _replays, _read_replay, _JSON, _TOKENS),
)
