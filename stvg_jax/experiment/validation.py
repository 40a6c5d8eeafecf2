"""Validation in the course of a training: evaluated as `stvg-jax eval` does, and shown where training is watched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jax.sharding import Mesh
from PIL import Image

from stvg_jax.core.progress import Progress
from stvg_jax.eval.config import EvalConfig
from stvg_jax.eval.runner import evaluate
from stvg_jax.eval.step import EvalStep
from stvg_jax.grounding.evaluation.scoring import Score
from stvg_jax.grounding.inputs import Inputs
from stvg_jax.models.loading import LoadedModel
from stvg_jax.train.monitor import Monitor

# m_vIoU over all samples, whatever their kind: what the best checkpoint is chosen by.
OVERALL = "validation/m_vIoU"


def run_validation(
    model: LoadedModel,
    inputs: Inputs,
    config: EvalConfig,
    out: Path,
    *,
    examples: int,
    mesh: Mesh,
    eval_step: EvalStep,
    progress: Progress,
    monitor: Monitor,
    step: int,
) -> dict[str, float] | None:
    """Evaluates into `out`, prints the table, and gives measures and pictures of examples to the monitor.

    All hosts call it.

    Args:
        model, inputs, config, out, mesh, progress: as for `stvg_jax.eval.runner.evaluate`.
        examples: how many samples to draw.
        eval_step: its step.
        monitor: of the training.
        step: of the training.

    Returns:
        "validation/KIND/MEASURE" -> value, and `OVERALL`; None on hosts but the first.

    Raises:
        InputError: as `evaluate`.
    """
    finished = evaluate(model, inputs, config, out, mesh=mesh, progress=progress, step=eval_step, examples=examples)
    if finished is None:
        return None
    score, table = finished
    print(table, flush=True)
    measures = _scalars(score)
    monitor.write(step, measures)
    monitor.write_images(step, _pictures(out))
    return measures


def _scalars(score: Score) -> dict[str, float]:
    groups = score.groups
    measures = {f"validation/{kind}/{name}": v for kind, g in groups.items() for name, v in g.measures.items()}
    samples = sum(group.samples for group in groups.values())
    return measures | {OVERALL: sum(g.samples * g.measures["m_vIoU"] for g in groups.values()) / samples}


def _pictures(out: Path) -> dict[str, np.ndarray]:
    files = sorted((out / "examples").glob("*.png"))
    return {f"validation/example_{file.stem}": np.asarray(Image.open(file).convert("RGB")) for file in files}
