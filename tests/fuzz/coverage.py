"""The same targets, with inputs chosen by libFuzzer: what reaches new lines of the readers is damaged further."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from pathlib import Path

from tests.fuzz.engine import MAX_BYTES, Fault, Target, keep
from tests.fuzz.mutations import Material
from tests.fuzz.worker import Place, Reading


def fuzz_by_coverage(target: Target, seconds: float, seed: int, failures: Path) -> int:
    """Runs in this process until the time is over, and ends the process; an input with a fault is kept.

    A fault that ends the process is kept by libFuzzer, as crash-... in `failures`.
    """
    try:
        import atheris
    except ImportError:
        sys.exit("--engine atheris needs atheris: pip install atheris")
    with atheris.instrument_imports(include=["convert", "data_pipeline", "stvg_jax"]):
        import stvg_jax.convert.convert_file
        import stvg_jax.data_pipeline.shards
        import stvg_jax.data_pipeline.video
        import stvg_jax.grounding.evaluation.scoring  # noqa: F401
        from stvg_jax.data_pipeline.datasets.registry import all_datasets

        all_datasets()

    failures.mkdir(parents=True, exist_ok=True)
    failures = failures.resolve()
    folder = Path(tempfile.mkdtemp(prefix="stvg_jax_fuzz_"))
    for name in ("seeds", "corpus", "worker"):
        (folder / name).mkdir()
    seeds = [bytes(data) for data in target.seeds(folder / "seeds")]
    for number, data in enumerate(seeds):
        (folder / "corpus" / str(number)).write_bytes(data)
    terminal = os.dup(1)
    reading = Reading(target, Place(folder / "worker"))
    for data in seeds[:8]:
        reading.read(data)
    reading.arm()
    found: set[tuple[str, ...]] = set()

    def read(data: bytes) -> None:
        outcome = reading.read(data)
        if outcome.fault is not None and outcome.where not in found:
            found.add(outcome.where)
            fault = Fault(outcome.fault, outcome.where, data)
            with reading.unwatched():
                os.write(terminal, f"{fault}\n  kept in {keep(fault, target, failures)}\n".encode())

    def damage(data: bytes, max_size: int, number: int) -> bytes:
        rng = random.Random(number)
        return rng.choice(target.mutations)(rng, data, Material(target.tokens, seeds))[: min(max_size, MAX_BYTES)]

    options = [f"-max_total_time={int(seconds)}", f"-seed={seed}", f"-max_len={MAX_BYTES}", "-timeout=20"]
    options += ["-rss_limit_mb=6000", f"-artifact_prefix={failures}/", str(folder / "corpus")]
    atheris.Setup([sys.argv[0], *options], read, custom_mutator=damage)
    atheris.Fuzz()
    return int(bool(found))
