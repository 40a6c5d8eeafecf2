"""`stvg-jax prepare`: what a dataset needs before training and evaluation."""

from __future__ import annotations

import argparse

from stvg_jax.commands import add_commands

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
    add_commands(parts, _PARTS, prefix="prepare_", run="run_part")


def run(args: argparse.Namespace) -> None:
    args.run_part(args)
