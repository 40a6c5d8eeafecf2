"""`stvg-jax score`."""

from __future__ import annotations

import argparse
from pathlib import Path

from stvg_jax.commands import add_dataset, add_options, options_of

DESCRIPTION = """\
Score any system's predictions with the published measures, without a model: m_tIoU, m_vIoU, vIoU@0.3,
vIoU@0.5, and gt_vIoU, which scores only the boxes within the true interval."""

EPILOG = """\
PREDICTIONS is one of
  test_results.json   as TA-STVG and CG-STVG write it:
                      {"predictions": {id: {frame: [[x1, y1, x2, y2]]}},
                       "video_predictions": {id: {"sted": [first, one past last]}}}
  records.jsonl       of `stvg-jax eval`, or the folder with its parts

examples:
  stvg-jax score test_results.json --dataset hcstvg --annotations annos/test.json
  stvg-jax score eval/records.jsonl --dataset vidstg --annotations vidstg --out scores

Frames without a predicted box count as 0. Boxes are interpolated only for records.jsonl, which has sampled frames.
All faults of a file are reported at once."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("predictions", type=Path, metavar="PREDICTIONS", help="file to score, see below")
    add_dataset(parser, required=True)
    parser.add_argument("--annotations", type=Path, required=True, metavar="PATH", help="file or folder of annotations")
    parser.add_argument("--split", default="test", help="part of the dataset (%(default)s)")
    add_options(parser)
    parser.add_argument(
        "--on-problem",
        choices=("raise", "exclude", "keep"),
        default="raise",
        help="annotations with problems: report them (default), leave them out, or keep those that can be used, as the "
        "released systems do",
    )
    parser.add_argument(
        "--missing",
        choices=("error", "zero", "skip"),
        default="error",
        help="samples without a prediction: report them (default), count them as 0, or leave them out, as the released "
        "evaluators do",
    )
    parser.add_argument(
        "--benchmark",
        metavar="NAME",
        help="test set whose published figures are shown, such as hcstvg1, or none (default: chosen by the dataset and "
        "its size)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write metrics.json and table.md there")


def run(args: argparse.Namespace) -> None:
    from stvg_jax.core.characters import one_line
    from stvg_jax.core.files import whole_file
    from stvg_jax.core.progress import Terminal
    from stvg_jax.data_pipeline.annotations import require_tubes
    from stvg_jax.data_pipeline.datasets.reading import read_annotations
    from stvg_jax.data_pipeline.datasets.registry import get_benchmark, get_dataset
    from stvg_jax.grounding.evaluation.scoring import read_predictions, score_results, write_metrics
    from stvg_jax.grounding.evaluation.table import given_interval_table, results_table
    from stvg_jax.grounding.inference.answer import check_writable

    if args.benchmark is not None:
        get_benchmark(args.benchmark)
    if args.out is not None:
        check_writable(args.out)
    progress = Terminal()
    with progress.stage("reading annotations"):
        annotations = read_annotations(
            args.dataset, args.annotations, split=args.split, on_problem=args.on_problem, **options_of(args)
        )
    require_tubes(annotations)
    with progress.stage("reading predictions"):
        results = read_predictions(args.predictions)
    with progress.stage("scoring"):
        score = score_results(
            results,
            annotations.samples,
            excluded={entry.id for entry in annotations.excluded},
            missing=args.missing,
            what=f"{args.predictions} cannot be scored",
        )
    benchmark = args.benchmark or get_dataset(args.dataset).find_benchmark(len(annotations.samples))
    title = f"{args.dataset}, {args.split}"
    tables = [
        results_table(score.groups, benchmark, one_line(args.predictions.name), title),
        given_interval_table(score.groups),
    ]
    print("\n\n".join([*(table.text() for table in tables), *score.notes]))
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        about = {"dataset": args.dataset, "split": args.split, "predictions": str(args.predictions)}
        write_metrics(args.out / "metrics.json", score, **about)
        with whole_file(args.out / "table.md") as file:
            file.write("\n".join([*(table.markdown() for table in tables), *score.notes, ""]))
        print(f"written to {args.out}")
