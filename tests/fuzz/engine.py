"""Choosing inputs, and having them read by a worker."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import multiprocessing
import random
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.fuzz.mutations import Material, Mutation
from tests.fuzz.worker import Outcome, Place, serve

MAX_BYTES = 1_000_000
_MAX_CORPUS = 500
_MAX_FAULTS = 20
_WALL_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class Target:
    """A reader to be fuzzed. Its functions are sent to another process, so that they must be at the top of a module.

    Attributes:
        name: on the command line.
        seeds: (an empty folder) -> sound inputs, and some that have been wrong before.
        read: (input, folders) reads the input as the library would; what it returns tells results apart.
        mutations: one is drawn for every change.
        tokens: of the format.
    """

    name: str
    seeds: Callable[[Path], Sequence[bytes]]
    read: Callable[[bytes, Place], object]
    mutations: Sequence[Mutation]
    tokens: Sequence[bytes] = ()


@dataclasses.dataclass(frozen=True)
class Fault:
    """An input that was not read as it should be: what happened, where, and the input."""

    what: str
    where: tuple[str, ...]
    data: bytes

    def __str__(self) -> str:
        shown = self.data.hex() if len(self.data) <= 200 else f"{self.data[:100].hex()}... ({len(self.data):,} bytes)"
        return f"{self.what}\n  at {' < '.join(reversed(self.where)) or 'no place in the library'}\n  input {shown}"


@dataclasses.dataclass
class Report:
    """Inputs, how many of them gave a result, the different ends that they came to, and faults, each kind once."""

    runs: int = 0
    read: int = 0
    places: int = 0
    slowest: float = 0.0
    faults: list[Fault] = dataclasses.field(default_factory=list)


def fuzz(target: Target, *, seconds: float = 60.0, seed: int = 0, runs: int | None = None) -> Report:
    """Reads damaged inputs for some time, or a number of them.

    Args:
        seconds: ignored where `runs` is given, so that a result does not depend on the speed of the machine.
        seed: of the choice of inputs.
    """
    rng, report, seen = random.Random(seed), Report(), set()
    with contextlib.closing(_Reader(target)) as reader:
        corpus = list(reader.seeds)
        end = time.monotonic() + seconds
        while len(report.faults) < _MAX_FAULTS and (report.runs < runs if runs is not None else time.monotonic() < end):
            # Each seed once as it is.
            data = corpus[report.runs] if report.runs < len(reader.seeds) else _damaged(rng, target, corpus)
            outcome = reader.read(data)
            report.runs += 1
            report.read += outcome.is_read
            report.slowest = max(report.slowest, outcome.seconds)
            kind = (outcome.fault is not None, outcome.where)
            if kind in seen:
                continue
            seen.add(kind)
            if outcome.fault is not None:
                report.faults.append(Fault(outcome.fault, outcome.where, data))
            elif len(corpus) < _MAX_CORPUS:
                corpus.append(data)
    report.places = len(seen)
    return report


def repeat(target: Target, data: bytes) -> Outcome:
    """Reads one input."""
    with contextlib.closing(_Reader(target)) as reader:
        return reader.read(data)


def keep(fault: Fault, target: Target, folder: Path) -> Path:
    """Writes a failing input into `folder`, under a name that tells the target."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{target.name}-{hashlib.sha256(fault.data).hexdigest()[:8]}"
    path.write_bytes(fault.data)
    return path


def _damaged(rng: random.Random, target: Target, corpus: Sequence[bytes]) -> bytes:
    data = rng.choice(corpus)
    material = Material(target.tokens, corpus)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        data = rng.choice(target.mutations)(rng, data, material)
    return data[:MAX_BYTES]


class _Reader:
    """A worker process, started anew whenever an input has ended it."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._folder = tempfile.TemporaryDirectory(prefix="stvg_jax_fuzz_", ignore_cleanup_errors=True)
        seeds = Path(self._folder.name) / "seeds"
        seeds.mkdir()
        self.seeds = [bytes(seed) for seed in target.seeds(seeds)]
        self._workers = 0
        self._start()

    def read(self, data: bytes) -> Outcome:
        try:
            self._connection.send(data)
            if self._connection.poll(_WALL_SECONDS):
                return self._connection.recv()
            fault = f"did not end within {_WALL_SECONDS:g} s"
        except (EOFError, ConnectionError):
            self._process.join()
            code = self._process.exitcode or 0
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            fault = "took too much CPU time" if name == "SIGXCPU" else f"ended the process: {name}"
        self._stop()
        self._start()
        return Outcome(fault, (fault,))

    def close(self) -> None:
        self._stop()
        self._folder.cleanup()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._workers += 1
        root = Path(self._folder.name) / f"worker-{self._workers}"
        root.mkdir()
        self._process = context.Process(target=serve, args=(theirs, self._target, root), daemon=True)
        self._process.start()
        theirs.close()
        # Imports and first compilations are not held against an input.
        for seed in self.seeds[:8]:
            self._connection.send(seed)
            self._connection.recv()
        self._connection.send(None)

    def _stop(self) -> None:
        self._connection.close()
        self._process.join(0.5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
