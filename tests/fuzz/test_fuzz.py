"""The fuzzing itself: every target for a minute, and that what is wrong would be noticed."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stvg_jax.core.errors import InputError
from tests.fuzz import mutations
from tests.fuzz.engine import Target, fuzz
from tests.fuzz.run import FAILURES, keep
from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import Place

SECONDS = float(os.environ.get("STVG_JAX_FUZZ_SECONDS", "60"))


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_whatever_a_file_holds_is_read_or_refused(name):
    report = fuzz(TARGETS[name], seconds=SECONDS)
    kept = [f"{fault}\n  kept in {keep(fault, TARGETS[name], FAILURES)}" for fault in report.faults]
    assert not kept, "\n".join(kept)
    assert report.read, "not even the sound inputs were read"


def _misbehave(data: bytes, place: Place) -> object:
    what = data.decode()
    if what == "fail":
        return {}["key"]
    if what == "spin":
        while True:
            pass
    if what == "grow":
        return len(bytearray(2**31))
    if what == "write":
        Path("../home/made.txt").write_text("")
    if what == "change":
        # Native code opens files without telling Python.
        os.utime("../home/precious.txt", (1, 1))
    if what == "remove":
        Path("../home/precious.txt").unlink()
    if what == "run":
        subprocess.run([sys.executable, "-c", ""], check=True)
    if what == "abort":
        os.abort()
    if what == "steer":
        raise InputError("a name: \x1b[31mred")
    if what == "long":
        raise InputError("x" * 5_000)
    if what == "print":
        print("x" * 500_000)
    if what == "refuse":
        raise InputError("a line\nand another")
    Path("../out/answer").write_text(what)
    return what


_FAULTS = {
    "fail": "KeyError",
    "spin": "took too much CPU time",
    "grow": "MemoryError",
    "write": "opened .* for writing",
    "change": "precious.txt' has appeared, gone or changed",
    "remove": "os.remove",
    "run": "subprocess.Popen",
    "abort": "ended the process: SIGABRT",
    "steer": "control character",
    "long": "a message of 5,000 characters",
    "print": "wrote 500,001 bytes",
}


def _good(folder: Path) -> list[bytes]:
    return [b"refuse", b"read"]


def _listed(rng: random.Random, data: bytes, material: mutations.Material) -> bytes:
    return rng.choice(material.tokens)


@pytest.mark.slow
@pytest.mark.parametrize("what", _FAULTS)
def test_what_is_wrong_is_noticed(what):
    target = Target("misbehaving", _good, _misbehave, (_listed,), (what.encode(),))
    report = fuzz(target, runs=6)
    assert len(report.faults) == 1
    (fault,) = report.faults
    assert fault.data == what.encode()
    assert re.search(_FAULTS[what], fault.what), fault.what


def test_what_is_right_is_no_fault():
    report = fuzz(Target("behaving", _good, _misbehave, (_listed,), (b"read", b"refuse")), runs=20)
    assert (report.runs, report.places, report.faults) == (20, 2, [])
    assert 0 < report.read < 20


@pytest.mark.parametrize("name", ["torch-zip", "safetensors", "annotations-json", "records"])
def test_the_same_seed_damages_in_the_same_way(tmp_path, name):
    target = TARGETS[name]
    seeds = target.seeds(tmp_path)
    made = []
    for _ in range(2):
        rng, material = random.Random(3), mutations.Material(target.tokens, seeds)
        made.append([target.mutations[0](rng, rng.choice(seeds), material) for _ in range(20)])
    assert made[0] == made[1]
    assert len(set(made[0])) > 12
