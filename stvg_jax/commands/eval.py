"""`stvg-jax eval`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stvg_jax.parallel import hosts

DESCRIPTION = """\
Evaluate a checkpoint on a dataset with the published protocol (two interleaved passes over each clip, merged
and interpolated) and measures (m_tIoU, m_vIoU, vIoU@0.3 and vIoU@0.5, for declarative and interrogative
sentences). A retrieval model is evaluated by R@1, R@5, R@10 and the median rank, in both directions
(docs/retrieval.md)."""

EPILOG = f"""\
OUT gets
  table.md           the measures beside the published ones; also printed
  index.html         the best, median and worst cases in pictures
  metrics.json       the measures
  records.jsonl      every answer, one line each
  predictions.json   the answers in the released systems' format, for `stvg-jax score` and other evaluators
  subject_RULE/      the same with other subjects, and effect.md, if --config.eval.subject asks for them
and, for retrieval, table.md, metrics.json and answers.jsonl, the best videos for each text.

The same command continues an interrupted evaluation.

examples (the frames come from `stvg-jax prepare frames`):
  stvg-jax eval --config configs/ta_stvg_hcstvg1.py --checkpoint ta_stvg_hcstvg1 --out eval/hcstvg1
  stvg-jax eval --config ta_stvg_vidstg --checkpoint checkpoints/ta_vidstg --out eval/vidstg \\
      --config.data.annotations=/data/vidstg --config.data.frames=/data/frames/vidstg --config.eval.dtype=bfloat16
  stvg-jax eval --config stgt_msrvtt --checkpoint stgt_msrvtt --out eval/stgt_msrvtt

--config.eval.subject=found|wrong|none evaluates also with subjects found in the sentences, with wrong ones or without,
and tells the difference (docs/results.md): how much a model that reads a subject before the sentence depends on it.

--config.SECTION.KEY=VALUE changes a setting of the configuration. The sections `model` and `clip` are those of the
checkpoint; changes to them on the command line apply to it.

{hosts.EPILOG}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="experiment, see configs/")
    parser.add_argument(
        "--checkpoint",
        required=True,
        metavar="NAME",
        help="a name of `stvg-jax checkpoints`, a folder made by `stvg-jax convert` or `train`, or owner/name on the "
        "Hugging Face hub",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    hosts.add_arguments(parser)


def run(args: argparse.Namespace) -> None:
    hosts.join(args)
    import jax

    from stvg_jax.core.config import build, load_config_file, overridden
    from stvg_jax.core.progress import Silent, Terminal
    from stvg_jax.data_pipeline.language.identification import foreign_warning
    from stvg_jax.devices import tell_device
    from stvg_jax.eval.config import EvalConfig
    from stvg_jax.eval.runner import evaluate
    from stvg_jax.grounding.inference.answer import check_writable
    from stvg_jax.models.loading import load_model
    from stvg_jax.models.names import find_checkpoint
    from stvg_jax.parallel.mesh import make_mesh
    from stvg_jax.runtime.compilation import keep_compiled

    config = load_config_file(args.config, overrides=args.overrides)
    settings = build(EvalConfig, config.get("eval", {}), "config.eval")
    check_writable(args.out)
    keep_compiled()
    tell_device()
    progress = Silent() if jax.process_index() else Terminal()
    changes = overridden(config, args.overrides)
    model = load_model(
        find_checkpoint(args.checkpoint), dtype=settings.dtype, model=changes.get("model"), clip=changes.get("clip")
    )
    with progress.stage("reading annotations"):
        inputs = model.family.inputs(config, settings.split)
    warning = foreign_warning(inputs.sentences)
    if warning and not jax.process_index():
        print(warning, file=sys.stderr)
    report = evaluate(model, inputs, settings, args.out, mesh=make_mesh(), progress=progress)
    if report is not None:
        print(report.text)
        page = args.out / "index.html"
        print(f"\nresults: {args.out}" + (f", pictures: {page}" if page.exists() else ""))
