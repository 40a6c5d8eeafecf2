"""Worth of the built-in checkpoint's confidence on the shapes dataset, and the numbers that it is made with.

    stvg-jax prepare shapes data/shapes
    stvg-jax prepare frames --dataset hcstvg --annotations data/shapes --out frames/shapes
    python -m benchmarks.confidence --out eval/confidence

The calibration is fitted on val and measured on test. A sentence describes nothing in a clip if the scene has no answer
to it, however leniently it is read (`data_pipeline/shapes/answers.py`). OUT/val/calibration.json is the file in the
folder of the checkpoint. OUT has all answers, so that the same command again takes seconds.
"""

from __future__ import annotations

import argparse
import functools
import re
from pathlib import Path
from typing import Any

import numpy as np

from stvg_jax.core.checkpoint import CALIBRATION
from stvg_jax.core.config import build, load_config_file
from stvg_jax.core.progress import Terminal
from stvg_jax.data_pipeline.annotations import Sample
from stvg_jax.data_pipeline.shapes import make_example
from stvg_jax.data_pipeline.shapes.answers import answers, mentioned
from stvg_jax.data_pipeline.shapes.facts import Facts, observe
from stvg_jax.data_pipeline.shapes.sentences import parse
from stvg_jax.eval.config import EvalConfig
from stvg_jax.grounding.evaluation.calibrating import OTHERS, calibrate
from stvg_jax.grounding.evaluation.calibration import score_of
from stvg_jax.grounding.evaluation.records import Record, read_records
from stvg_jax.grounding.inference.confidence import Calibration, read_calibration
from stvg_jax.models.loading import load_model
from stvg_jax.models.names import default_checkpoint

_SPLITS = ("val", "test")


@functools.cache
def facts_of(video: str) -> Facts:
    """All that can be seen in a video of the dataset, such as val_000007.mp4."""
    split, index = re.fullmatch(r"(\w+)_(\d+)\.mp4", Path(video).name).groups()  # pyright: ignore[reportOptionalMemberAccess]
    return observe(make_example(0, split=split, index=int(index)).scene)


def describes_nothing(sample: Sample, other: Sample) -> bool:
    """Whether the sentence of another sample has no answer in the clip of a sample."""
    return not answers(parse(other.sentence), facts_of(sample.video), lenient=True)


def recalls(records: list[Record], calibration: Calibration) -> str:
    """Share of the sentences about nothing in the clip of which this is said: where a thing looks as the sentence says
    but does something else, and where none looks like that."""
    low = calibration.probability(np.array([score_of(record) for record in records])) < calibration.threshold
    there = np.array([bool(mentioned(parse(r.sentence).noun, facts_of(r.video))) for r in records])
    return "\n".join(
        f"{name}: {chosen.sum()} sentences, recall {low[chosen].mean():.3f}"
        for name, chosen in (("a thing looks like that", there), ("no thing looks like that", ~there))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("configs/shapes.py"))
    parser.add_argument("--checkpoint", type=Path, default=default_checkpoint(), help="a model of the shapes dataset")
    parser.add_argument("--annotations", default="data/shapes")
    parser.add_argument("--frames", default="frames/shapes")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    places = {"annotations": args.annotations, "frames": args.frames}
    config: dict[str, Any] = load_config_file(args.config)
    config["data"] = {**config["data"], **places}
    model, progress = load_model(args.checkpoint), Terminal()
    given = None
    for split in _SPLITS:
        settings = build(EvalConfig, {**config["eval"], "split": split, "pictures": 0}, "config.eval")
        inputs = model.family.inputs(config, split)
        out = args.out / split
        print(calibrate(model, inputs, settings, out, given=given, allowed=describes_nothing, progress=progress))
        given = given or read_calibration(out / CALIBRATION)
        print(f"\n{recalls(read_records(out / OTHERS / 'records.jsonl'), given)}\n", flush=True)


if __name__ == "__main__":
    main()
