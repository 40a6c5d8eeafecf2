"""Share of small changes to the code that the default tests notice.

    pip install -e ".[dev,mutation]"
    python -m benchmarks.mutation --seed 18 --count 240 --out /tmp/mutants

Lines are drawn at random from the modules below, and on each line one of the changes of cosmic-ray or
`benchmarks.mutants`. Annotations, decorators and texts of errors are not changed. A change is noticed if one of the
tests that run its line fails or takes far longer; a first run of the tests without changes finds these tests.
`results.jsonl` has a line for each change and is continued after an interruption. `--again PATH ...` runs all tests of
these files on the changes that survived. Changes are made in a copy of the working tree. The system must have fork.
"""

from __future__ import annotations

import argparse
import collections
import difflib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.mutants import Mutant, draw

SOURCES = (
    "stvg_jax/grounding",
    "stvg_jax/eval",
    "data_pipeline/frame_rules.py",
    "data_pipeline/language/directions.py",
    "data_pipeline/loading",
    "convert",
)
TESTS = (
    "tests/data_pipeline/test_frame_rules.py",
    "tests/data_pipeline/language/test_directions.py",
    "tests/data_pipeline/loading",
    "tests/convert",
    "tests/grounding/evaluation",
    "tests/grounding",
)


def in_fork(work: Callable[[], int], log: Path, seconds: float) -> int | None:
    """Exit status of `work` in a process of its own; None if it takes too long."""
    child = os.fork()
    if not child:
        status = 70
        try:
            os.setsid()
            with log.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            status = int(work())
        finally:
            os._exit(status)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


class Durations:
    """A pytest plugin that writes the seconds of each test that passes."""

    def __init__(self, path: Path):
        self.path, self.seconds = path, collections.Counter()

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self):
        self.path.write_text(json.dumps(self.seconds))


def measure_baseline(root: Path, out: Path) -> None:
    """Runs the tests without changes; writes the lines (`baseline.coverage`) and seconds (`baseline.json`) of each."""
    import pytest

    os.environ["COVERAGE_FILE"] = str(out / "baseline.coverage")
    options = [f"--cov={source}" for source in ("stvg_jax", "data_pipeline", "convert")]
    options += ["--cov-context=test", "--cov-report=", "-p", "no:cacheprovider", *TESTS]
    status = in_fork(lambda: pytest.main(options, [Durations(out / "baseline.json")]), out / "baseline.log", 3600)
    if status != 0:
        raise SystemExit(f"the tests fail without any change; see {out / 'baseline.log'}")


def tests_by_line(root: Path, out: Path) -> Callable[[Mutant], tuple[list[str], float]]:
    """A function from a change to the tests that run its line, quick files first, and their seconds."""
    import coverage

    data = coverage.CoverageData(str(out / "baseline.coverage"))
    data.read()
    suffixes = {Path(name): name for name in data.measured_files()}
    seconds = json.loads((out / "baseline.json").read_text())
    whole = collections.Counter()
    for test, taken in seconds.items():
        whole[test.split("::")[0]] += taken

    def choose(mutant: Mutant) -> tuple[list[str], float]:
        name = next((name for path, name in suffixes.items() if str(path).endswith("/" + mutant.path)), None)
        contexts = data.contexts_by_lineno(name).get(mutant.line, []) if name else []
        ids = {context.split("|")[0] for context in contexts} & set(seconds)
        # A line at the top of a module runs when it is imported, and some in processes that tests start.
        files = collections.Counter()
        for test in ids or _beside(seconds, mutant.path):
            files[test.split("::")[0]] += seconds[test]
            ids.add(test)
        # Ordered by file, because any test of a file may be the one that makes a fixture.
        return sorted(ids, key=lambda test: (whole[test.split("::")[0]], test.split("::")[0])), sum(files.values())

    return choose


def _beside(seconds, path: str) -> set[str]:
    """Tests in the folder that mirrors a module's, or in the next one above it that has any."""
    folders = Path("tests", path.removeprefix("stvg_jax/")).parents
    found = ({test for test in seconds if test.startswith(f"{folder}/")} for folder in folders)
    return next(filter(None, found), set())


def try_out(mutant: Mutant, root: Path, tests: list[str], seconds: float, log: Path) -> tuple[str, str]:
    """Outcome of a change ("killed", "timeout" or "survived"), and the change as a diff."""
    import pytest

    path = root / mutant.path
    before, times = path.read_text(encoding="utf-8"), path.stat()
    after = mutant.applied(before)
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    diff = "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))
    if not tests:
        return "survived", diff
    try:
        path.write_text(after, encoding="utf-8")
        status = in_fork(lambda: pytest.main(["-x", "-p", "no:cacheprovider", *tests]), log, seconds)
    finally:
        path.write_text(before, encoding="utf-8")
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return ("timeout" if status is None else "killed" if status else "survived"), diff


def copy_of_working_tree(folder: Path) -> Path:
    """Copies the files that git tracks or would add into `folder`."""
    top = Path(subprocess.check_output(["git", "rev-parse", "--show-toplevel"], text=True).strip())
    names = subprocess.check_output(["git", "ls-files", "-coz", "--exclude-standard"], cwd=top, text=True)
    for name in filter(None, names.split("\0")):
        if (top / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(top / name, folder / name)
    # An editable installation would find these packages in the working tree, where nothing is changed.
    for name in ("configs", "convert", "data_pipeline"):
        (folder / "stvg_jax" / name).symlink_to(folder / name)
    return folder


def import_what_takes_long() -> None:
    """Imports slow packages before the process forks. JAX must not have a backend yet."""
    import av  # noqa: F401
    import flax.nnx  # noqa: F401
    import jax  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import optax  # noqa: F401
    import orbax.checkpoint  # noqa: F401
    import tensorflow  # noqa: F401
    import tokenizers  # noqa: F401


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=16)
    parser.add_argument("--count", type=int, default=320)
    parser.add_argument("--only", default="", metavar="PATTERN", help="of these changes, those in such files")
    parser.add_argument("--out", type=Path, required=True, help="folder of results, logs and compiled programs")
    parser.add_argument("--again", nargs="+", metavar="PATH", help="try all tests of these files on the survivors")
    parser.add_argument("--list", action="store_true", help="only print the changes")
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    results = out / "results.jsonl"
    records = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    found = {record["key"]: record for record in records}
    with tempfile.TemporaryDirectory() as folder:
        root = copy_of_working_tree(Path(folder))
        mutants = [m for m in draw(root, SOURCES, args.seed, args.count) if re.match(args.only, m.path)]
        os.chdir(root)
        sys.path[0] = str(root)
        os.environ |= {
            "PYTHONPATH": str(root),
            "PYTHONDONTWRITEBYTECODE": "1",
            "JAX_COMPILATION_CACHE_DIR": str(out / "programs"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        sys.dont_write_bytecode = True
        if args.list:
            for mutant in mutants:
                print(mutant.key, try_out(mutant, root, [], 0, out / "log")[1], sep="\n")
            return
        import_what_takes_long()
        if not (out / "baseline.json").exists():
            measure_baseline(root, out)
        choose = tests_by_line(root, out)
        for number, mutant in enumerate(mutants):
            last = found.get(mutant.key)
            if last and not (args.again and last["outcome"] == "survived"):
                continue
            tests, seconds = (args.again, 600) if args.again else choose(mutant)
            start = time.monotonic()
            outcome, diff = try_out(mutant, root, tests, 300 + 10 * seconds, out / "last.log")
            found[mutant.key] = record = {"key": mutant.key, "outcome": outcome, "diff": diff, "tests": len(tests)}
            with results.open("a") as file:
                file.write(json.dumps(record) + "\n")
            print(f"{number + 1}/{len(mutants)} {outcome} {time.monotonic() - start:.0f} s {mutant.key}", flush=True)
            if outcome == "survived":
                print(diff, flush=True)
    outcomes = collections.Counter(found[mutant.key]["outcome"] for mutant in mutants)
    share = 1 - outcomes["survived"] / len(mutants)
    print(f"{len(mutants)} changes, seed {args.seed}: {dict(outcomes)}; {share:.1%} noticed")


if __name__ == "__main__":
    main()
