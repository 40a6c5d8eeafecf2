"""Start-up time of `stvg-jax ground`, until the model begins to run: a first start, and later ones with its cache.

    python -m benchmarks.startup VIDEO --checkpoint DIR --resolution 224 --frames 0:200

Options other than --starts are those of `stvg-jax ground`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time

# Printed by the command when the programs are ready; the model runs next.
_READY = "preparing the model"


def seconds_to_run(command: list[str], cache: str) -> float:
    """Time from the start of the process until the model begins to run; the process is then stopped."""
    start = time.monotonic()
    environment = os.environ | {"STVG_JAX_CACHE": cache}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        for line in process.stderr:
            if line.startswith(_READY):
                process.kill()
                return time.monotonic() - start
    raise SystemExit("the command ended before the model ran; try it by hand")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--starts", type=int, default=3, help="number of later starts (%(default)s)")
    args, options = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "stvg_jax.cli", "ground", args.video, "a man walks", *options]
        command += ["--out", f"{folder}/out"]
        first, *later = (seconds_to_run(command, f"{folder}/cache") for _ in range(1 + args.starts))
    for seconds in later:
        print(f"first start {first:.1f} s, later start {seconds:.1f} s, ratio {seconds / first:.2f}")


if __name__ == "__main__":
    main()
