"""`stvg-jax prepare`."""

from __future__ import annotations

import argparse

from stvg_jax.commands import add_commands

DESCRIPTION = """\
Prepare a dataset for training and evaluation, once: decode its frames into shards, and make attribute labels
if its annotations have none. Or generate a dataset that needs no download."""

EPILOG = """\
`stvg-jax prepare PART --help` explains each part."""

_PARTS = {
    "frames": "decode every video once and store its frames in shards",
    "labels": "make the attribute vocabularies and labels from the training sentences",
    "shapes": "generate the synthetic dataset: moving shapes, and sentences about them",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parts = parser.add_subparsers(dest="part", metavar="PART", required=True)
    add_commands(parts, _PARTS, prefix="prepare_", run="run_part")


def run(args: argparse.Namespace) -> None:
    args.run_part(args)
