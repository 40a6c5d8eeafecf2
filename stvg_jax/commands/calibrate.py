"""`stvg-jax calibrate`."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Calibrate the confidence of a checkpoint: evaluate it on a split that it was not trained on, once with the
sentences of the split and once with those of other videos, and fit the numbers that turn its scores into the
probability that a tube is right (docs/confidence.md)."""

EPILOG = """\
OUT gets
  calibration.json   the numbers; copied into the checkpoint's folder, they go with each of its answers
  confidence.md      how good they are
  described/, other_sentences/   both evaluations, as `stvg-jax eval` writes them

The same command continues after an interruption.

examples (the frames come from `stvg-jax prepare frames`):
  stvg-jax calibrate --config ta_stvg_hcstvg2 --checkpoint checkpoints/ta --split val --out calibration/ta
  cp calibration/ta/calibration.json checkpoints/ta
  stvg-jax calibrate --config ta_stvg_hcstvg2 --checkpoint checkpoints/ta --split test --out calibration/ta_test \\
      --measure calibration/ta/calibration.json

--config.SECTION.KEY=VALUE changes a setting of the configuration, as for `stvg-jax eval`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="experiment, see configs/")
    parser.add_argument("--checkpoint", required=True, metavar="NAME", help="a grounding model, as for `stvg-jax eval`")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument(
        "--split", choices=("val", "test", "train"), default="val", help="part of the data (%(default)s)"
    )
    parser.add_argument("--measure", type=Path, metavar="FILE", help="measure this calibration.json, and fit none")


def run(args: argparse.Namespace) -> None:
    from stvg_jax.core.checkpoint import CALIBRATION
    from stvg_jax.core.config import build, load_config_file, overridden
    from stvg_jax.core.errors import InputError
    from stvg_jax.core.progress import Terminal
    from stvg_jax.devices import tell_device
    from stvg_jax.eval.config import EvalConfig
    from stvg_jax.grounding.evaluation.calibrating import calibrate
    from stvg_jax.grounding.inference.answer import check_writable
    from stvg_jax.grounding.inference.confidence import read_calibration
    from stvg_jax.grounding.inputs import GroundingInputs
    from stvg_jax.models.loading import load_model
    from stvg_jax.models.names import find_checkpoint
    from stvg_jax.runtime.compilation import keep_compiled

    config = load_config_file(args.config, overrides=args.overrides)
    settings = build(EvalConfig, {**config.get("eval", {}), "split": args.split, "pictures": 0}, "config.eval")
    given = None if args.measure is None else read_calibration(args.measure)
    check_writable(args.out)
    keep_compiled()
    tell_device()
    progress = Terminal()
    changes = overridden(config, args.overrides)
    model = load_model(
        find_checkpoint(args.checkpoint), dtype=settings.dtype, model=changes.get("model"), clip=changes.get("clip")
    )
    with progress.stage("reading annotations"):
        inputs = model.family.inputs(config, args.split)
    if not isinstance(inputs, GroundingInputs):
        raise InputError(f"a {model.description.model} gives no tubes; only a grounding model has a confidence")
    quality = calibrate(model, inputs, settings, args.out, given=given, progress=progress)
    print(quality)
    if given is None:
        print(f"\nwritten to {args.out / CALIBRATION}; copy it into the folder of the checkpoint")
