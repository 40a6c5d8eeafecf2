"""`stvg-jax train`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stvg_jax.parallel import hosts

DESCRIPTION = """\
Train the model of a configuration in a workdir. After any end - a kill, a signal, a power cut - the same
command continues from the newest checkpoint and gives the same numbers."""

EPILOG = f"""\
WORKDIR gets
  checkpoints/        checkpoints to continue from, the latest and the best
  best/, last/        checkpoints for `stvg-jax ground` and `stvg-jax eval`
  validation/STEP/    results of `stvg-jax eval`: table, answers, pictures
  metrics.jsonl       terms of the loss, learning rates, speed; tensorboard/ has the same
  config.json, starts.jsonl   configuration, commands and versions

examples:
  stvg-jax train --config configs/shapes.py --workdir runs/shapes
  stvg-jax train --config ta_stvg_hcstvg1 --workdir runs/hcstvg1 --config.train.parts=4 \\
      --config.train.initialise="('mdetr', 'video_swin')"

SIGTERM and Ctrl-C save and stop after the current step; a second one stops at once. Exit codes: 0 done, 2 bad input,
128 + the signal's number if stopped.

{hosts.EPILOG}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="experiment, see configs/")
    parser.add_argument("--workdir", type=Path, required=True, metavar="DIR", help="folder of the run")
    hosts.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    hosts.join(args)
    import jax

    from stvg_jax.core.config import load_config_file
    from stvg_jax.core.progress import Silent, Terminal
    from stvg_jax.devices import tell_device
    from stvg_jax.experiment.training import Training
    from stvg_jax.runtime.compilation import keep_compiled

    config = load_config_file(args.config, overrides=args.overrides)
    keep_compiled()
    tell_device()
    progress = Silent() if jax.process_index() else Terminal()
    if code := Training(config, args.workdir, ["stvg-jax", *sys.argv[1:]], progress).run():
        raise SystemExit(code)
