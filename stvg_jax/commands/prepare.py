"""`stvg-jax prepare`: what a dataset needs before training and evaluation."""

from __future__ import annotations

import argparse
import importlib

DESCRIPTION = """\
Make a dataset ready for training and evaluation, once: its frames are decoded into shards, and attribute
labels are made where its annotations have none. Or generate a dataset that needs no download."""

EPILOG = """\
`stvg-jax prepare PART --help` explains each."""

_PARTS = {
    "frames": "decode every video once and store its frames in shards",
    "labels": "make the attribute vocabularies and labels from the training sentences",
    "shapes": "generate the synthetic dataset: moving shapes, and sentences about them",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parts = parser.add_subparsers(dest="part", metavar="PART", required=True)
    for name, summary in _PARTS.items():
        module = importlib.import_module(f"stvg_jax.commands.prepare_{name}")
        part = parts.add_parser(
            name,
            help=summary,
            description=module.DESCRIPTION,
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(part)
        part.set_defaults(run_part=module.run)


def run(args: argparse.Namespace) -> None:
    args.run_part(args)
