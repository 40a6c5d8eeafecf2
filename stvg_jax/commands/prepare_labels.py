"""`stvg-jax prepare labels`."""

from __future__ import annotations

import argparse
from pathlib import Path

from stvg_jax.commands import add_dataset, add_options, options_of
from stvg_jax.core.errors import InputError

DESCRIPTION = """\
Make the attribute labels that TA-STVG trains with, for annotations that have none: the most frequent
appearance and motion words of the training sentences, and the ones that each sentence has."""

EPILOG = """\
examples:
  stvg-jax prepare labels --dataset json --annotations data/mine --out data/mine/labels.json
  stvg-jax prepare labels --dataset vidstg --annotations data/vidstg --out labels.json --splits train val test

The released annotations of TA-STVG have labels (sub, adj_index_list, verb_index_list). The words are printed: check
them. FILE is JSON and can be edited."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_dataset(parser, required=True, help="format of the annotations; json for your own, see docs/annotations.md")
    parser.add_argument(
        "--annotations", type=Path, required=True, metavar="DIR", help="dataset folder, or the training file itself"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="labels file to make")
    parser.add_argument(
        "--splits", nargs="+", metavar="SPLIT", help="splits to label, including train (default: all in the folder)"
    )
    parser.add_argument(
        "--appearance",
        type=int,
        metavar="N",
        help="number of appearance words (default: as released, 15, and 20 for vidstg)",
    )
    parser.add_argument(
        "--motion", type=int, metavar="N", help="number of motion words (default: as released, 60, and 34 for vidstg)"
    )
    add_options(parser, "replacements")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")


def run(args: argparse.Namespace) -> None:
    from stvg_jax.data_pipeline.datasets.labels import prepare_labels

    if args.out.exists() and not args.force:
        raise InputError(f"{args.out} exists; use --force to replace it")
    if not args.out.parent.is_dir():
        raise InputError(f"{args.out} cannot be written: there is no folder {args.out.parent}; make it first")
    labels = prepare_labels(
        args.dataset,
        args.annotations,
        args.out,
        splits=args.splits,
        appearance=args.appearance,
        motion=args.motion,
        **options_of(args),
    )
    for name, counts in labels.counts.items():
        print(f"{len(counts)} {name} words, with training sentences each:")
        print("  " + ", ".join(f"{word} {count}" for word, count in counts.items()))
    for split, samples in labels.splits.items():
        bare = sum(not sample.appearance and not sample.motion for sample in samples.values())
        print(f"{split}: {len(samples)} sentences, {bare} without any of the words")
    print(f"labels: {args.out}")
