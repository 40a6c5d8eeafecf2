"""`stvg-jax prepare shapes`."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Generate the dataset "shapes": small videos of coloured shapes that move, change, appear and vanish, each with
a sentence that fits only one shape at one time. Nothing is downloaded. Writes into OUT, in the layout of HC-STVG:
  v1_video/           one H.264 file per sentence
  annos/              train.json, val.json, test.json and vocabulary.json
  shapes.json         version, settings and checksums
With --captions also captions of several sentences, for retrieval (docs/retrieval.md):
  annos/              captions_train.json, captions_val.json, captions_test.json and captions.json with checksums

It can be stopped at any time; the same command continues. docs/shapes.md describes the dataset."""

EPILOG = """\
examples:
  stvg-jax prepare shapes data/shapes                                # the dataset of the published results
  stvg-jax prepare shapes data/shapes_tiny --train 40 --val 4 --test 8
  stvg-jax prepare shapes data/shapes_big --train 20000              # the same test set, more to learn from

then:
  stvg-jax prepare frames --dataset hcstvg --annotations data/shapes --split train val test --out frames/shapes

The same options give the same scenes, sentences, boxes and pictures on every machine. Video number i of a split is
the same for any number of videos, so a larger training set contains a smaller one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, metavar="OUT", help="folder that is new, empty, or begun with these options")
    counts = parser.add_argument_group("how many videos")
    counts.add_argument("--train", type=int, default=4000, metavar="N", help="training videos (%(default)s)")
    counts.add_argument("--val", type=int, default=200, metavar="N", help="videos for validation (%(default)s)")
    counts.add_argument("--test", type=int, default=400, metavar="N", help="test videos (%(default)s)")
    look = parser.add_argument_group("of every video")
    look.add_argument(
        "--height", type=int, default=96, metavar="PIXELS", help="height of a frame, even, 48 or more (%(default)s)"
    )
    look.add_argument("--frames", type=int, default=64, metavar="N", help="frames of a video, 32 or more (%(default)s)")
    look.add_argument("--fps", type=int, default=16, metavar="N", help="frames per second (%(default)s)")
    look.add_argument("--kind", metavar="KIND", help='kind of all scenes, such as "motion" (default: a mixture)')
    parser.add_argument("--seed", type=int, default=0, help="another seed gives another dataset (%(default)s)")
    parser.add_argument("--captions", action="store_true", help="add captions, to a finished dataset too")
    parser.add_argument("--processes", type=int, metavar="N", help="videos at a time (default: one per CPU)")


def run(args: argparse.Namespace) -> None:
    import os

    from stvg_jax.core.errors import InputError
    from stvg_jax.core.progress import Terminal
    from stvg_jax.data_pipeline.shapes.captions import prepare_captions
    from stvg_jax.data_pipeline.shapes.dataset import Plan, prepare_shapes
    from stvg_jax.data_pipeline.shapes.example import Settings

    if args.processes is not None and args.processes < 1:
        raise InputError(f"--processes is {args.processes}; it must be 1 or more")
    plan = Plan(
        train=args.train,
        val=args.val,
        test=args.test,
        seed=args.seed,
        settings=Settings(height=args.height, frames=args.frames, fps=args.fps),
        kind=args.kind,
    )
    options = {"processes": args.processes or os.cpu_count() or 1, "progress": Terminal()}
    manifest = prepare_shapes(args.out, plan, **options)
    if args.captions:
        prepare_captions(args.out, plan, **options)
    counts = ", ".join(f"{count} {split}" for split, count in manifest["videos"].items())
    print(f"{manifest['version']}: {counts} videos in {args.out}")
