"""`python -m tests.fuzz.run [TARGET] [--seconds 60] [--seed 0] [--repeat FILE]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.engine import fuzz, keep, repeat
from tests.fuzz.targets import TARGETS

FAILURES = Path(__file__).parent / "failures"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description="Read damaged inputs for a while.")
    parser.add_argument("target", nargs="?", choices=TARGETS, help="none: list them")
    parser.add_argument("--seconds", type=float, default=60.0, help="to go on (%(default)g)")
    parser.add_argument("--runs", type=int, help="how many inputs, instead of --seconds")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of inputs (%(default)s)")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="read this input alone")
    parser.add_argument("--engine", choices=("own", "atheris"), default="own", help="who chooses inputs (%(default)s)")
    args = parser.parse_args(argv)
    if args.target is None:
        print(*TARGETS, sep="\n")
        return 0
    target = TARGETS[args.target]
    if args.repeat is not None:
        outcome = repeat(target, args.repeat.read_bytes())
        print(
            f"{outcome.fault or 'read or refused as it should be'} ({outcome.seconds:.2f} s)",
            *outcome.where,
            sep="\n  ",
        )
        return int(outcome.fault is not None)
    if args.engine == "atheris":
        from tests.fuzz.coverage import fuzz_by_coverage

        return fuzz_by_coverage(target, args.seconds, args.seed, FAILURES)
    report = fuzz(target, seconds=args.seconds, seed=args.seed, runs=args.runs)
    for fault in report.faults:
        print(f"{fault}\n  kept in {keep(fault, target, FAILURES)}")
    print(
        f"{target.name}: {report.runs:,} inputs, {report.read:,} read, {report.places:,} different ends, "
        f"slowest {report.slowest:.2f} s, faults: {len(report.faults)}"
    )
    return int(bool(report.faults))


if __name__ == "__main__":
    sys.exit(main())
